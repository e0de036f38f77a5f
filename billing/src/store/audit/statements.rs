//! What was billed and taken back, and what the ledger says of it.

use super::{Of, OfEach, Page, of, of_each};
use crate::{
    audit::{Charged, CreditNoteRow, Entry, Evidence, Line, Statement, TaxRow},
    db::DbError,
    ids::TenantId,
    store::{books::tenant_of, payers::who},
};
use std::collections::BTreeMap;
use tokio_postgres::Row;
use uuid::Uuid;

/// What was billed, and what the ledger says.
pub(super) async fn add(page: &Page, all: &mut [Evidence]) -> Result<(), DbError> {
    let mut statements = finals(page).await?;
    let mut credit_notes = credit_notes(page).await?;
    let mut entries = entries(page).await?;
    let mut posted = posted(page).await?;
    for it in all {
        it.statements = of_each(&mut statements, it);
        it.credit_notes = of_each(&mut credit_notes, it);
        it.entries = of(&mut entries, it);
        it.posted = of(&mut posted, it).into_iter().collect();
    }
    Ok(())
}

async fn finals(page: &Page) -> Result<OfEach<Statement>, DbError> {
    let mut lines = lines(page).await?;
    let mut taxes = page.parts(include_str!("taxes.sql"), "statement_id", tax_row).await?;
    let mut all: OfEach<Statement> = BTreeMap::new();
    for row in page.rows_of_each(include_str!("statements.sql")).await? {
        let (tenant, statement) = (tenant_of(&row), row.get("statement_id"));
        all.entry(who(&row)).or_default().push(Statement {
            statement,
            entity: row.get("legal_entity"),
            series_number: row.get("series_number"),
            number: row.get("number"),
            starts: row.get("period_start"),
            ends: row.get("period_end"),
            currency: row.get("currency"),
            subtotal: row.get("subtotal_micros"),
            carried_in: row.get("carried_in_micros"),
            total: row.get("total_micros"),
            tax: row.get("tax_micros"),
            tax_on_top: row.get("tax_on_top_micros"),
            credits: row.get("credits_micros"),
            taxes: taxes.remove(&(tenant, statement)).unwrap_or_default(),
            carried_out: row.get("carried_out_micros"),
            tab_before: row.get("tab_before_micros"),
            tab_after: row.get("tab_after_micros"),
            lines: lines.remove(&(tenant, statement)).unwrap_or_default(),
        });
    }
    Ok(all)
}

/// All lines with their hours, by statement.
async fn lines(page: &Page) -> Result<BTreeMap<(TenantId, Uuid), Vec<Line>>, DbError> {
    let charged = |row: &Row| Charged {
        hour: row.get("hour"),
        quantity: row.get("quantity"),
        amount: row.get("amount_micros"),
        currency: row.get("currency"),
    };
    let mut hours = page.parts(include_str!("charges.sql"), "line_id", charged).await?;
    let mut lines: BTreeMap<_, Vec<Line>> = BTreeMap::new();
    for row in page.rows(include_str!("lines.sql")).await? {
        let (tenant, line) = (tenant_of(&row), row.get("line_id"));
        lines.entry((tenant, row.get("statement_id"))).or_default().push(Line {
            line,
            kind: row.get("kind"),
            subscription: row.get("subscription_id"),
            price: row.get("price_id"),
            vendor: row.get("vendor_id"),
            quantity: row.get("quantity"),
            amount: row.get("amount_micros"),
            currency: row.get("currency"),
            month: row.get("month"),
            tax_group: row.get("tax_group"),
            discount: row.get::<_, Option<Uuid>>("coupon_id").zip(row.get("discounts")),
            hours: hours.remove(&(tenant, line)).unwrap_or_default(),
        });
    }
    Ok(lines)
}

fn tax_row(row: &Row) -> TaxRow {
    TaxRow {
        position: row.get("position"),
        category: row.get("category"),
        country: row.get("country"),
        rate: row.get("rate_millionths"),
        includes: row.get("prices_include_tax"),
        priced: row.get("priced_micros"),
        taxable: row.get("taxable_micros"),
        tax: row.get("tax_micros"),
        currency: row.get("currency"),
    }
}

/// The accounts' credit notes.
async fn credit_notes(page: &Page) -> Result<OfEach<CreditNoteRow>, DbError> {
    let tax = |row: &Row| (row.get("tax_group"), row.get("taxable_micros"), row.get("tax_micros"));
    let mut taxes = page.parts(include_str!("credit_note_taxes.sql"), "credit_note_id", tax).await?;
    let mut all: OfEach<CreditNoteRow> = BTreeMap::new();
    for row in page.rows_of_each(include_str!("credit_notes.sql")).await? {
        let (tenant, note) = (tenant_of(&row), row.get("credit_note_id"));
        let notes = all.entry(who(&row)).or_default();
        if notes.last().is_none_or(|last| last.note != note) {
            notes.push(CreditNoteRow {
                note,
                statement: row.get("statement_id"),
                entity: row.get("legal_entity"),
                series_number: row.get("series_number"),
                number: row.get("number"),
                currency: row.get("currency"),
                net: row.get("net_micros"),
                tax: row.get("tax_micros"),
                total: row.get("total_micros"),
                lines: Vec::new(),
                taxes: taxes.remove(&(tenant, note)).unwrap_or_default(),
            });
        }
        let line: Option<Uuid> = row.get("line_id");
        let line = line.map(|line| (line, row.get("vendor_id"), row.get("amount_micros")));
        notes.last_mut().expect("just pushed").lines.extend(line);
    }
    Ok(all)
}

async fn entries(page: &Page) -> Result<Of<Entry>, DbError> {
    let read = |row: &Row| Entry {
        transaction: row.get("transaction_id"),
        account: row.get("ledger_account"),
        currency: row.get("currency"),
        amount: row.get("amount_micros"),
    };
    page.each(include_str!("entries.sql"), read).await
}

async fn posted(page: &Page) -> Result<Of<(Uuid, i64)>, DbError> {
    page.each(include_str!("posted.sql"), |row| (row.get("transaction_id"), row.get("place"))).await
}
