//! Reads the rows that an audit is about.

use super::{
    StoreError,
    row::{month, stored},
    statements,
};
use crate::{
    audit::{
        Back, Charged, CouponRow, CreditNoteRow, CreditRow, Decision, Entry, EventRow, Evidence, Line,
        MeterRow, Part, Payment, Payout, PriceRow, Series, Settlement, Sold, Statement, TaxBuyer, TaxFacts,
        TaxRow, Used,
    },
    db::{Db, DbError, Transaction},
    ids::TenantId,
    statement as biller,
};
use jiff::{Timestamp, civil::Date};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Row;
use uuid::Uuid;

/// The series of numbers, as a service.
pub async fn number_series(service: &Transaction) -> Result<Vec<Series>, DbError> {
    let rows = service.all(include_str!("audit_series.sql"), &[]).await?;
    let read = |row: &Row| Series {
        entity: row.get("legal_entity"),
        prefix: row.get("prefix"),
        last: row.get("last_number"),
    };
    Ok(rows.iter().map(read).collect())
}

/// Everything about a tenant's account, in one snapshot; `None` if it has none. The draft is what the billing code says.
pub async fn evidence(db: &Db, tenant: TenantId, now: Timestamp) -> Result<Option<Evidence>, StoreError> {
    let tx = db.tenant(tenant).await?;
    tx.batch_execute("set transaction isolation level repeatable read").await.map_err(DbError::from)?;
    let Some(account) = tx.optional(include_str!("audit_account.sql"), &[&tenant.0]).await? else {
        return Ok(None);
    };
    let (id, by_account): (Uuid, _) = (account.get("account_id"), include_str!("late_months.sql"));
    let late = tx.all(by_account, &[&vec![tenant.0], &vec![id]]).await?;
    let draft = draft(&tx, tenant, now).await?;
    let evidence = Evidence {
        tenant,
        sandbox: account.get("sandbox"),
        account: id,
        currency: account.get("currency"),
        used: used(&tx, tenant).await?,
        meters: meters(&tx, tenant).await?,
        events: events(&tx, tenant, id).await?,
        unknown_legs: unknown_legs(&tx, tenant).await?,
        late: late.iter().map(|row| month(row).first_day()).collect::<BTreeSet<Date>>(),
        sold: sold(&tx, tenant, id).await?,
        tax: tax_facts(&tx, tenant, id).await?,
        coupons: coupons(&tx, tenant, id).await?,
        credits: credits(&tx, tenant, id).await?,
        credit_notes: credit_notes(&tx, tenant, id).await?,
        statements: finals(&tx, tenant, id).await?,
        entries: entries(&tx, tenant).await?,
        posted: posted(&tx, tenant).await?,
        vendors: vendors(&tx, tenant).await?,
        payments: payments(&tx, tenant).await?,
        settlements: settlements(&tx, tenant).await?,
        backs: backs(&tx, tenant).await?,
        payouts: payouts(&tx, tenant).await?,
        write_offs: write_offs(&tx, tenant).await?,
        draft: Some(draft),
    };
    tx.rollback().await?;
    Ok(Some(evidence))
}

async fn draft(
    tx: &Transaction,
    tenant: TenantId,
    now: Timestamp,
) -> Result<(Date, Timestamp, Vec<Line>), StoreError> {
    let (books, month, as_of) = statements::drafted(tx, tenant, now).await?;
    let draft = biller::draft(&books, month, as_of)?;
    let line = |line: &biller::Line| Line {
        line: line.line_id.0,
        kind: line.kind.as_str().to_owned(),
        subscription: line.subscription_id.0,
        price: line.price_id.0,
        vendor: line.vendor_id.0,
        quantity: line.quantity,
        amount: line.amount.micros,
        currency: line.amount.currency.to_string(),
        month: line.for_month.unwrap_or(month).first_day(),
        tax_group: line.tax_group,
        discount: line.coupon_id.zip(line.discounts).map(|(coupon, line)| (coupon.0, line.0)),
        hours: Vec::new(),
    };
    Ok((month.first_day(), as_of, draft.lines.iter().map(line).collect()))
}

async fn used(tx: &Transaction, tenant: TenantId) -> Result<Vec<Used>, DbError> {
    let rows = tx.all(include_str!("audit_usage.sql"), &[&tenant.0]).await?;
    let read =
        |row: &Row| Used { meter: row.get("meter"), hour: row.get("hour"), quantity: row.get("quantity") };
    Ok(rows.iter().map(read).collect())
}

async fn meters(tx: &Transaction, tenant: TenantId) -> Result<Vec<MeterRow>, DbError> {
    let read = |row: &Row| {
        Ok(MeterRow {
            name: row.get("name"),
            number: row.get("number"),
            event_type: row.get("event_type"),
            aggregation: row.get("aggregation"),
            value_property: row.get("value_property"),
            filters: serde_json::from_str(row.get("filters")).map_err(stored)?,
            dimensions: row.get("dimensions"),
        })
    };
    tx.all(include_str!("meters.sql"), &[&tenant.0]).await?.iter().map(read).collect()
}

async fn events(tx: &Transaction, tenant: TenantId, account: Uuid) -> Result<Vec<EventRow>, DbError> {
    let read = |row: &Row| {
        Ok(EventRow {
            source: row.get("source"),
            id: row.get("id"),
            event_type: row.get("type"),
            at: row.get("occurred_at"),
            data: serde_json::from_str(row.get("data")).map_err(stored)?,
            meters_known: row.get("meters_known"),
        })
    };
    tx.all(include_str!("audit_events.sql"), &[&tenant.0, &account]).await?.iter().map(read).collect()
}

async fn unknown_legs(tx: &Transaction, tenant: TenantId) -> Result<Vec<Uuid>, DbError> {
    let rows = tx.all(include_str!("audit_unknown_legs.sql"), &[&tenant.0]).await?;
    Ok(rows.iter().map(|row| row.get("leg_id")).collect())
}

async fn sold(tx: &Transaction, tenant: TenantId, account: Uuid) -> Result<Vec<Sold>, DbError> {
    let mut all: Vec<Sold> = Vec::new();
    let decisions = decisions(tx, tenant, account).await?;
    for row in tx.all(include_str!("audit_sold.sql"), &[&tenant.0, &account]).await? {
        let (subscription, plan_version) = (row.get("subscription_id"), row.get("plan_version_id"));
        let is_same =
            |last: &&mut Sold| (last.subscription, last.plan_version) == (subscription, plan_version);
        match all.last_mut().filter(is_same) {
            Some(last) => last.prices.push(price(&row)),
            None => all.push(Sold {
                subscription,
                vendor: row.get("vendor_id"),
                starts: row.get("starts_at"),
                ends: row.get("ends_at"),
                plan: row.get("plan_id"),
                plan_version,
                tax_class: row.get("tax_class"),
                prices_include_tax: row.get("prices_include_tax"),
                decisions: decisions.get(&subscription).cloned().unwrap_or_default(),
                prices: vec![price(&row)],
            }),
        }
    }
    Ok(all)
}

/// What was decided about each subscription that was ever changed, how it began included.
async fn decisions(
    tx: &Transaction,
    tenant: TenantId,
    account: Uuid,
) -> Result<BTreeMap<Uuid, Vec<Decision>>, DbError> {
    let mut all: BTreeMap<Uuid, Vec<Decision>> = BTreeMap::new();
    for row in tx.all(include_str!("audit_decisions.sql"), &[&tenant.0, &account]).await? {
        all.entry(row.get("subscription_id")).or_default().push(Decision {
            sequence: row.get("sequence"),
            from: row.get("from_hour"),
            state: row.get("state"),
            plan_version: row.get("plan_version_id"),
            payer: row.get("payer_id"),
            held: ["seats", "rooms", "mailboxes"].map(|column| row.get(column)),
        });
    }
    Ok(all)
}

fn price(row: &Row) -> PriceRow {
    PriceRow {
        price: row.get("price_id"),
        meter: row.get("meter"),
        unit: row.get("unit"),
        per: row.get("per"),
        unit_size: row.get("unit_size"),
        model: row.get("model"),
        up_to: row.get("tier_up_to"),
        rates: row.get("tier_rate_micros"),
        included: row.get("included"),
        minimum: row.get("minimum_micros"),
        cap: row.get("cap_micros"),
        currency: row.get("currency"),
    }
}

async fn finals(tx: &Transaction, tenant: TenantId, account: Uuid) -> Result<Vec<Statement>, DbError> {
    let mut lines = lines(tx, tenant).await?;
    let mut taxes = taxes(tx, tenant).await?;
    let rows = tx.all(include_str!("audit_statements.sql"), &[&tenant.0, &account]).await?;
    let read = |row: &Row| {
        let statement = row.get("statement_id");
        Statement {
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
            taxes: taxes.remove(&statement).unwrap_or_default(),
            carried_out: row.get("carried_out_micros"),
            tab_before: row.get("tab_before_micros"),
            tab_after: row.get("tab_after_micros"),
            lines: lines.remove(&statement).unwrap_or_default(),
        }
    };
    Ok(rows.iter().map(read).collect())
}

/// All lines with their hours, by statement.
async fn lines(tx: &Transaction, tenant: TenantId) -> Result<BTreeMap<Uuid, Vec<Line>>, DbError> {
    let mut hours: BTreeMap<Uuid, Vec<Charged>> = BTreeMap::new();
    for row in tx.all(include_str!("audit_charges.sql"), &[&tenant.0]).await? {
        hours.entry(row.get("line_id")).or_default().push(Charged {
            hour: row.get("hour"),
            quantity: row.get("quantity"),
            amount: row.get("amount_micros"),
            currency: row.get("currency"),
        });
    }
    let mut lines: BTreeMap<Uuid, Vec<Line>> = BTreeMap::new();
    for row in tx.all(include_str!("audit_lines.sql"), &[&tenant.0]).await? {
        let line = row.get("line_id");
        lines.entry(row.get("statement_id")).or_default().push(Line {
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
            hours: hours.remove(&line).unwrap_or_default(),
        });
    }
    Ok(lines)
}

/// All breakdowns, by statement.
async fn taxes(tx: &Transaction, tenant: TenantId) -> Result<BTreeMap<Uuid, Vec<TaxRow>>, DbError> {
    let mut all: BTreeMap<Uuid, Vec<TaxRow>> = BTreeMap::new();
    for row in tx.all(include_str!("audit_taxes.sql"), &[&tenant.0]).await? {
        all.entry(row.get("statement_id")).or_default().push(TaxRow {
            position: row.get("position"),
            category: row.get("category"),
            country: row.get("country"),
            rate: row.get("rate_millionths"),
            includes: row.get("prices_include_tax"),
            priced: row.get("priced_micros"),
            taxable: row.get("taxable_micros"),
            tax: row.get("tax_micros"),
            currency: row.get("currency"),
        });
    }
    Ok(all)
}

/// What decides how the account is taxed.
async fn tax_facts(tx: &Transaction, tenant: TenantId, account: Uuid) -> Result<TaxFacts, DbError> {
    let buyers = tx.all(include_str!("tax_buyers.sql"), &[&vec![tenant.0], &vec![account]]).await?;
    if buyers.is_empty() {
        return Ok(TaxFacts::default());
    }
    let buyer = |row: &Row| TaxBuyer {
        from: row.get("valid_from"),
        country: row.get("country"),
        is_business: row.get::<_, Option<&str>>("vat_id").is_some(),
        is_exempt: row.get::<_, Option<&str>>("exemption").is_some(),
    };
    let sellers = tx.all(include_str!("tax_sellers.sql"), &[]).await?;
    let rates = tx.all(include_str!("tax_rates.sql"), &[]).await?;
    let rate =
        |row: &Row| (row.get("country"), row.get("class"), row.get("valid_from"), row.get("rate_millionths"));
    Ok(TaxFacts {
        sellers: sellers.iter().map(|row| (row.get("valid_from"), row.get("country"))).collect(),
        buyers: buyers.iter().map(buyer).collect(),
        rates: rates.iter().map(rate).collect(),
    })
}

async fn posted(tx: &Transaction, tenant: TenantId) -> Result<BTreeMap<Uuid, i64>, DbError> {
    let rows = tx.all(include_str!("audit_posted.sql"), &[&tenant.0]).await?;
    Ok(rows.iter().map(|row| (row.get("transaction_id"), row.get("place"))).collect())
}

/// What the account redeemed.
async fn coupons(tx: &Transaction, tenant: TenantId, account: Uuid) -> Result<Vec<CouponRow>, DbError> {
    let rows = tx.all(include_str!("redeemed_coupons.sql"), &[&vec![tenant.0], &vec![account]]).await?;
    let read = |row: &Row| CouponRow {
        coupon: row.get("coupon_id"),
        vendor: row.get("vendor_id"),
        plans: row.get("plans"),
        percent: row.get("percent_millionths"),
        amount: row.get("amount_micros"),
        from: row.get("month"),
        months: row.get("months"),
    };
    Ok(rows.iter().map(read).collect())
}

/// What the account was given, with what became of it.
async fn credits(tx: &Transaction, tenant: TenantId, account: Uuid) -> Result<Vec<CreditRow>, DbError> {
    let mut all: Vec<CreditRow> = Vec::new();
    for row in tx.all(include_str!("audit_credits.sql"), &[&tenant.0, &account]).await? {
        let credit: Uuid = row.get("credit_id");
        if all.last().is_none_or(|last| last.credit != credit) {
            all.push(CreditRow {
                credit,
                amount: row.get("amount_micros"),
                currency: row.get("currency"),
                expires: row.get("expires_at"),
                uses: Vec::new(),
            });
        }
        let of: Option<Uuid> = row.get("statement_id");
        let used = of.zip(row.get("used_micros")).map(|(of, micros)| (of, row.get("expired"), micros));
        all.last_mut().expect("just pushed").uses.extend(used);
    }
    Ok(all)
}

/// The account's credit notes.
async fn credit_notes(
    tx: &Transaction,
    tenant: TenantId,
    account: Uuid,
) -> Result<Vec<CreditNoteRow>, DbError> {
    let mut taxes: BTreeMap<Uuid, Vec<(i32, i64, i64)>> = BTreeMap::new();
    for row in tx.all(include_str!("audit_credit_note_taxes.sql"), &[&tenant.0]).await? {
        let part = (row.get("tax_group"), row.get("taxable_micros"), row.get("tax_micros"));
        taxes.entry(row.get("credit_note_id")).or_default().push(part);
    }
    let mut all: Vec<CreditNoteRow> = Vec::new();
    for row in tx.all(include_str!("audit_credit_notes.sql"), &[&tenant.0, &account]).await? {
        let note: Uuid = row.get("credit_note_id");
        if all.last().is_none_or(|last| last.note != note) {
            all.push(CreditNoteRow {
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
                taxes: taxes.remove(&note).unwrap_or_default(),
            });
        }
        let line: Option<Uuid> = row.get("line_id");
        let line = line.map(|line| (line, row.get("vendor_id"), row.get("amount_micros")));
        all.last_mut().expect("just pushed").lines.extend(line);
    }
    Ok(all)
}

async fn entries(tx: &Transaction, tenant: TenantId) -> Result<Vec<Entry>, DbError> {
    let rows = tx.all(include_str!("audit_entries.sql"), &[&tenant.0]).await?;
    let read = |row: &Row| Entry {
        transaction: row.get("transaction_id"),
        account: row.get("ledger_account"),
        currency: row.get("currency"),
        amount: row.get("amount_micros"),
    };
    Ok(rows.iter().map(read).collect())
}

async fn vendors(tx: &Transaction, tenant: TenantId) -> Result<Vec<Uuid>, DbError> {
    let rows = tx.all(include_str!("audit_vendors.sql"), &[&tenant.0]).await?;
    Ok(rows.iter().map(|row| row.get("vendor_id")).collect())
}

async fn payments(tx: &Transaction, tenant: TenantId) -> Result<Vec<Payment>, DbError> {
    let rows = tx.all(include_str!("audit_payments.sql"), &[&tenant.0]).await?;
    let read = |row: &Row| Payment {
        payment: row.get("payment_id"),
        number: row.get("number"),
        account: row.get("account_id"),
        purpose: row.get("purpose"),
        state: row.get("state"),
        currency: row.get("currency"),
        amount: row.get("amount_micros"),
        fee: row.get("fee_micros"),
    };
    Ok(rows.iter().map(read).collect())
}

async fn settlements(tx: &Transaction, tenant: TenantId) -> Result<Vec<Settlement>, DbError> {
    let mut allocated: BTreeMap<Uuid, BTreeMap<Uuid, i64>> = BTreeMap::new();
    for row in tx.all(include_str!("audit_allocations.sql"), &[&tenant.0]).await? {
        let of = allocated.entry(row.get("settlement_id")).or_default();
        of.insert(row.get("statement_id"), row.get("amount_micros"));
    }
    let mut parts: BTreeMap<Uuid, Vec<Part>> = BTreeMap::new();
    for row in tx.all(include_str!("audit_parts.sql"), &[&tenant.0]).await? {
        parts.entry(row.get("settlement_id")).or_default().push(part(&row));
    }
    let rows = tx.all(include_str!("audit_settlements.sql"), &[&tenant.0]).await?;
    let read = |row: &Row| {
        let settlement = row.get("settlement_id");
        Settlement {
            settlement,
            account: row.get("account_id"),
            kind: row.get("kind"),
            currency: row.get("currency"),
            amount: row.get("amount_micros"),
            fee: row.get("fee_micros"),
            allocated: allocated.remove(&settlement).unwrap_or_default(),
            parts: parts.remove(&settlement).unwrap_or_default(),
        }
    };
    Ok(rows.iter().map(read).collect())
}

fn part(row: &Row) -> Part {
    Part {
        account: row.get("ledger_account"),
        passed_on: row.get("passed_on"),
        gross: row.get("gross_micros"),
        platform_per_mille: row.get("platform_per_mille"),
        platform: row.get("platform_micros"),
        fee: row.get("fee_micros"),
        net: row.get("net_micros"),
    }
}

async fn backs(tx: &Transaction, tenant: TenantId) -> Result<Vec<Back>, DbError> {
    let rows = tx.all(include_str!("audit_backs.sql"), &[&tenant.0]).await?;
    let read = |row: &Row| Back {
        back: row.get("back_id"),
        payment: row.get("payment_id"),
        currency: row.get("currency"),
        amount: row.get("amount_micros"),
        fee: row.get("fee_micros"),
        came_again: row.get("came_again"),
    };
    Ok(rows.iter().map(read).collect())
}

async fn write_offs(tx: &Transaction, tenant: TenantId) -> Result<Vec<(Uuid, Uuid, i64, String)>, DbError> {
    let rows = tx.all(include_str!("audit_write_offs.sql"), &[&tenant.0]).await?;
    let read = |row: &Row| {
        (row.get("write_off_id"), row.get("account_id"), row.get("amount_micros"), row.get("currency"))
    };
    Ok(rows.iter().map(read).collect())
}

async fn payouts(tx: &Transaction, tenant: TenantId) -> Result<Vec<Payout>, DbError> {
    let mut lines: BTreeMap<Uuid, BTreeMap<Uuid, i64>> = BTreeMap::new();
    for row in tx.all(include_str!("audit_payout_lines.sql"), &[&tenant.0]).await? {
        let of = lines.entry(row.get("payout_id")).or_default();
        of.insert(row.get("transaction_id"), row.get("amount_micros"));
    }
    let rows = tx.all(include_str!("audit_payouts.sql"), &[&tenant.0]).await?;
    let read = |row: &Row| {
        let payout = row.get("payout_id");
        Payout {
            payout,
            vendor: row.get("vendor_id"),
            currency: row.get("currency"),
            carried_in: row.get("carried_in_micros"),
            amount: row.get("amount_micros"),
            carried_out: row.get("carried_out_micros"),
            came_again: row.get("came_again"),
            lines: lines.remove(&payout).unwrap_or_default(),
        }
    };
    Ok(rows.iter().map(read).collect())
}
