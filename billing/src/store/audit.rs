//! Reads the rows that an audit is about.

use super::{
    StoreError,
    books::tenant_of,
    close::BY_INDEX,
    row::{month, stored},
    statements,
};
use crate::{
    audit::{
        Back, Charged, CouponRow, CreditNoteRow, CreditRow, Decision, Draft, Entry, EventRow, Evidence, Line,
        MeterRow, Part, Payment, Payout, PriceRow, Series, Settlement, Sold, Statement, TaxBuyer, TaxFacts,
        TaxRow, Used,
    },
    db::{Db, DbError, Transaction},
    ids::TenantId,
    period::Month,
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

/// What many tenants have of something.
type Of<T> = BTreeMap<TenantId, Vec<T>>;

/// The accounts that are looked at together: a million of them, one after the other, take most of their time in asking.
struct Page {
    tx: Transaction,
    tenants: Vec<Uuid>,
    accounts: Vec<Uuid>,
}

impl Page {
    /// The rows of a query about the accounts: $1 tenants, $2 their accounts.
    async fn rows(&self, sql: &str) -> Result<Vec<Row>, DbError> {
        self.tx.all(sql, &[&self.tenants, &self.accounts]).await
    }

    /// Something for each row.
    async fn each<T>(&self, sql: &str, read: impl Fn(&Row) -> T) -> Result<Of<T>, DbError> {
        let mut all: Of<T> = BTreeMap::new();
        for row in self.rows(sql).await? {
            all.entry(tenant_of(&row)).or_default().push(read(&row));
        }
        Ok(all)
    }

    /// What belongs to something else of the same tenant, by that.
    async fn parts<T>(
        &self,
        sql: &str,
        whole: &str,
        read: impl Fn(&Row) -> T,
    ) -> Result<BTreeMap<(TenantId, Uuid), Vec<T>>, DbError> {
        let mut all: BTreeMap<_, Vec<T>> = BTreeMap::new();
        for row in self.rows(sql).await? {
            all.entry((tenant_of(&row), row.get(whole))).or_default().push(read(&row));
        }
        Ok(all)
    }
}

/// Everything about the accounts of some tenants, in one snapshot; those without an account are left out. The draft is what
/// the billing code says.
pub async fn evidence(db: &Db, tenants: &[TenantId], now: Timestamp) -> Result<Vec<Evidence>, StoreError> {
    let tx = db.auditing().await?;
    tx.batch_execute("set transaction isolation level repeatable read").await.map_err(DbError::from)?;
    tx.batch_execute(BY_INDEX).await.map_err(DbError::from)?;
    let ids: Vec<Uuid> = tenants.iter().map(|tenant| tenant.0).collect();
    let rows = tx.all(include_str!("audit_account.sql"), &[&ids]).await?;
    let mut all: Vec<Evidence> = rows.iter().map(account).collect();
    let (tenants, accounts) = all.iter().map(|it| (it.tenant.0, it.account)).unzip();
    let page = Page { tx, tenants, accounts };
    add_usage(&page, &mut all, now).await?;
    add_terms(&page, &mut all).await?;
    add_statements(&page, &mut all).await?;
    add_movements(&page, &mut all).await?;
    page.tx.rollback().await?;
    Ok(all)
}

/// An account of which nothing else is known yet.
fn account(row: &Row) -> Evidence {
    Evidence {
        tenant: tenant_of(row),
        sandbox: row.get("sandbox"),
        account: row.get("account_id"),
        currency: row.get("currency"),
        used: Vec::new(),
        meters: Vec::new(),
        events: Vec::new(),
        unknown_legs: Vec::new(),
        late: BTreeSet::new(),
        sold: Vec::new(),
        tax: TaxFacts::default(),
        coupons: Vec::new(),
        credits: Vec::new(),
        credit_notes: Vec::new(),
        statements: Vec::new(),
        entries: Vec::new(),
        posted: BTreeMap::new(),
        vendors: Vec::new(),
        payments: Vec::new(),
        settlements: Vec::new(),
        backs: Vec::new(),
        payouts: Vec::new(),
        write_offs: Vec::new(),
        draft: None,
    }
}

/// What was used, and what the draft bills for it.
async fn add_usage(page: &Page, all: &mut [Evidence], now: Timestamp) -> Result<(), StoreError> {
    let mut used = used(page).await?;
    let mut meters = meters(page).await?;
    let mut events = events(page).await?;
    let mut unknown_legs = unknown_legs(page).await?;
    let mut late = late(page).await?;
    let mut drafts = drafts(page, now).await?;
    for it in all {
        it.used = of(&mut used, it);
        it.meters = of(&mut meters, it);
        it.events = of(&mut events, it);
        it.unknown_legs = of(&mut unknown_legs, it);
        it.late = of(&mut late, it).into_iter().collect();
        it.draft = drafts.remove(&it.tenant);
    }
    Ok(())
}

/// On which terms.
async fn add_terms(page: &Page, all: &mut [Evidence]) -> Result<(), DbError> {
    let mut sold = sold(page).await?;
    let mut tax = tax_facts(page).await?;
    let mut coupons = coupons(page).await?;
    let mut credits = credits(page).await?;
    for it in all {
        it.sold = of(&mut sold, it);
        it.tax = tax.remove(&it.tenant).unwrap_or_default();
        it.coupons = of(&mut coupons, it);
        it.credits = of(&mut credits, it);
    }
    Ok(())
}

/// What was billed, and what the ledger says.
async fn add_statements(page: &Page, all: &mut [Evidence]) -> Result<(), DbError> {
    let mut statements = finals(page).await?;
    let mut credit_notes = credit_notes(page).await?;
    let mut entries = entries(page).await?;
    let mut posted = posted(page).await?;
    for it in all {
        it.statements = of(&mut statements, it);
        it.credit_notes = of(&mut credit_notes, it);
        it.entries = of(&mut entries, it);
        it.posted = of(&mut posted, it).into_iter().collect();
    }
    Ok(())
}

/// What money moved.
async fn add_movements(page: &Page, all: &mut [Evidence]) -> Result<(), DbError> {
    let mut vendors = vendors(page).await?;
    let mut payments = payments(page).await?;
    let mut settlements = settlements(page).await?;
    let mut backs = backs(page).await?;
    let mut payouts = payouts(page).await?;
    let mut write_offs = write_offs(page).await?;
    for it in all {
        it.vendors = of(&mut vendors, it);
        it.payments = of(&mut payments, it);
        it.settlements = of(&mut settlements, it);
        it.backs = of(&mut backs, it);
        it.payouts = of(&mut payouts, it);
        it.write_offs = of(&mut write_offs, it);
    }
    Ok(())
}

/// What an account has of something.
fn of<T>(all: &mut Of<T>, evidence: &Evidence) -> Vec<T> {
    all.remove(&evidence.tenant).unwrap_or_default()
}

async fn drafts(page: &Page, now: Timestamp) -> Result<BTreeMap<TenantId, Draft>, StoreError> {
    let tenants: Vec<TenantId> = page.tenants.iter().copied().map(TenantId).collect();
    let drafted = statements::drafted_all(&page.tx, &tenants, now).await?;
    let draft = |(tenant, (books, month, as_of)): (TenantId, statements::Drafted)| {
        let draft = biller::draft(&books, month, as_of)?;
        let lines = draft.lines.iter().map(|line| draft_line(line, month)).collect();
        Ok((tenant, (month.first_day(), as_of, lines)))
    };
    drafted.into_iter().map(draft).collect()
}

fn draft_line(line: &biller::Line, month: Month) -> Line {
    Line {
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
    }
}

async fn used(page: &Page) -> Result<Of<Used>, DbError> {
    let read =
        |row: &Row| Used { meter: row.get("meter"), hour: row.get("hour"), quantity: row.get("quantity") };
    page.each(include_str!("audit_usage.sql"), read).await
}

async fn meters(page: &Page) -> Result<Of<MeterRow>, DbError> {
    let read = |row: &Row| {
        let meter = MeterRow {
            name: row.get("name"),
            number: row.get("number"),
            event_type: row.get("event_type"),
            aggregation: row.get("aggregation"),
            value_property: row.get("value_property"),
            filters: serde_json::from_str(row.get("filters")).map_err(stored)?,
            dimensions: row.get("dimensions"),
        };
        Ok(meter)
    };
    whole(page.each(include_str!("audit_meters.sql"), read).await?)
}

async fn events(page: &Page) -> Result<Of<EventRow>, DbError> {
    let read = |row: &Row| {
        let event = EventRow {
            source: row.get("source"),
            id: row.get("id"),
            event_type: row.get("type"),
            at: row.get("occurred_at"),
            data: serde_json::from_str(row.get("data")).map_err(stored)?,
            meters_known: row.get("meters_known"),
        };
        Ok(event)
    };
    whole(page.each(include_str!("audit_events.sql"), read).await?)
}

/// All of it, if all of it could be read.
fn whole<T>(all: Of<Result<T, DbError>>) -> Result<Of<T>, DbError> {
    let read = |(tenant, each): (_, Vec<Result<T, DbError>>)| {
        Ok((tenant, each.into_iter().collect::<Result<Vec<T>, DbError>>()?))
    };
    all.into_iter().map(read).collect()
}

async fn unknown_legs(page: &Page) -> Result<Of<Uuid>, DbError> {
    page.each(include_str!("audit_unknown_legs.sql"), |row| row.get("leg_id")).await
}

async fn late(page: &Page) -> Result<Of<Date>, DbError> {
    page.each(include_str!("late_months.sql"), |row| month(row).first_day()).await
}

async fn sold(page: &Page) -> Result<Of<Sold>, DbError> {
    let mut all: Of<Sold> = BTreeMap::new();
    let decisions = page.parts(include_str!("audit_decisions.sql"), "subscription_id", decision).await?;
    for row in page.rows(include_str!("audit_sold.sql")).await? {
        let (tenant, subscription) = (tenant_of(&row), row.get("subscription_id"));
        let plan_version = row.get("plan_version_id");
        let sold = all.entry(tenant).or_default();
        let is_same =
            |last: &&mut Sold| (last.subscription, last.plan_version) == (subscription, plan_version);
        match sold.last_mut().filter(is_same) {
            Some(last) => last.prices.push(price(&row)),
            None => sold.push(Sold {
                subscription,
                vendor: row.get("vendor_id"),
                starts: row.get("starts_at"),
                ends: row.get("ends_at"),
                plan: row.get("plan_id"),
                plan_version,
                tax_class: row.get("tax_class"),
                prices_include_tax: row.get("prices_include_tax"),
                decisions: decisions.get(&(tenant, subscription)).cloned().unwrap_or_default(),
                prices: vec![price(&row)],
            }),
        }
    }
    Ok(all)
}

/// What was decided about a subscription that was ever changed, how it began included.
fn decision(row: &Row) -> Decision {
    Decision {
        sequence: row.get("sequence"),
        from: row.get("from_hour"),
        state: row.get("state"),
        plan_version: row.get("plan_version_id"),
        payer: row.get("payer_id"),
        held: ["seats", "rooms", "mailboxes"].map(|column| row.get(column)),
    }
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

async fn finals(page: &Page) -> Result<Of<Statement>, DbError> {
    let mut lines = lines(page).await?;
    let mut taxes = page.parts(include_str!("audit_taxes.sql"), "statement_id", tax_row).await?;
    let mut all: Of<Statement> = BTreeMap::new();
    for row in page.rows(include_str!("audit_statements.sql")).await? {
        let (tenant, statement) = (tenant_of(&row), row.get("statement_id"));
        all.entry(tenant).or_default().push(Statement {
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
    let mut hours = page.parts(include_str!("audit_charges.sql"), "line_id", charged).await?;
    let mut lines: BTreeMap<_, Vec<Line>> = BTreeMap::new();
    for row in page.rows(include_str!("audit_lines.sql")).await? {
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

/// What decides how accounts are taxed. Where nobody said anything, nothing more is asked.
async fn tax_facts(page: &Page) -> Result<BTreeMap<TenantId, TaxFacts>, DbError> {
    let buyer = |row: &Row| TaxBuyer {
        from: row.get("valid_from"),
        country: row.get("country"),
        is_business: row.get::<_, Option<&str>>("vat_id").is_some(),
        is_exempt: row.get::<_, Option<&str>>("exemption").is_some(),
    };
    let buyers = page.each(include_str!("tax_buyers.sql"), buyer).await?;
    if buyers.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sellers = page.tx.all(include_str!("tax_sellers.sql"), &[]).await?;
    let rates = page.tx.all(include_str!("tax_rates.sql"), &[]).await?;
    let rate =
        |row: &Row| (row.get("country"), row.get("class"), row.get("valid_from"), row.get("rate_millionths"));
    let facts = |(tenant, buyers)| {
        let sellers = sellers.iter().map(|row| (row.get("valid_from"), row.get("country"))).collect();
        (tenant, TaxFacts { sellers, buyers, rates: rates.iter().map(rate).collect() })
    };
    Ok(buyers.into_iter().map(facts).collect())
}

async fn posted(page: &Page) -> Result<Of<(Uuid, i64)>, DbError> {
    page.each(include_str!("audit_posted.sql"), |row| (row.get("transaction_id"), row.get("place"))).await
}

/// What accounts redeemed.
async fn coupons(page: &Page) -> Result<Of<CouponRow>, DbError> {
    let read = |row: &Row| CouponRow {
        coupon: row.get("coupon_id"),
        vendor: row.get("vendor_id"),
        plans: row.get("plans"),
        percent: row.get("percent_millionths"),
        amount: row.get("amount_micros"),
        from: row.get("month"),
        months: row.get("months"),
    };
    page.each(include_str!("redeemed_coupons.sql"), read).await
}

/// What accounts were given, with what became of it.
async fn credits(page: &Page) -> Result<Of<CreditRow>, DbError> {
    let mut all: Of<CreditRow> = BTreeMap::new();
    for row in page.rows(include_str!("audit_credits.sql")).await? {
        let credits = all.entry(tenant_of(&row)).or_default();
        let credit: Uuid = row.get("credit_id");
        if credits.last().is_none_or(|last| last.credit != credit) {
            credits.push(CreditRow {
                credit,
                amount: row.get("amount_micros"),
                currency: row.get("currency"),
                expires: row.get("expires_at"),
                uses: Vec::new(),
            });
        }
        let of: Option<Uuid> = row.get("statement_id");
        let used = of.zip(row.get("used_micros")).map(|(of, micros)| (of, row.get("expired"), micros));
        credits.last_mut().expect("just pushed").uses.extend(used);
    }
    Ok(all)
}

/// The accounts' credit notes.
async fn credit_notes(page: &Page) -> Result<Of<CreditNoteRow>, DbError> {
    let tax = |row: &Row| (row.get("tax_group"), row.get("taxable_micros"), row.get("tax_micros"));
    let mut taxes = page.parts(include_str!("audit_credit_note_taxes.sql"), "credit_note_id", tax).await?;
    let mut all: Of<CreditNoteRow> = BTreeMap::new();
    for row in page.rows(include_str!("audit_credit_notes.sql")).await? {
        let (tenant, note) = (tenant_of(&row), row.get("credit_note_id"));
        let notes = all.entry(tenant).or_default();
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
    page.each(include_str!("audit_entries.sql"), read).await
}

async fn vendors(page: &Page) -> Result<Of<Uuid>, DbError> {
    page.each(include_str!("audit_vendors.sql"), |row| row.get("vendor_id")).await
}

async fn payments(page: &Page) -> Result<Of<Payment>, DbError> {
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
    page.each(include_str!("audit_payments.sql"), read).await
}

async fn settlements(page: &Page) -> Result<Of<Settlement>, DbError> {
    let laid = |row: &Row| (row.get("statement_id"), row.get("amount_micros"));
    let mut allocated = page.parts(include_str!("audit_allocations.sql"), "settlement_id", laid).await?;
    let mut parts = page.parts(include_str!("audit_parts.sql"), "settlement_id", part).await?;
    let mut all: Of<Settlement> = BTreeMap::new();
    for row in page.rows(include_str!("audit_settlements.sql")).await? {
        let (tenant, settlement) = (tenant_of(&row), row.get("settlement_id"));
        all.entry(tenant).or_default().push(Settlement {
            settlement,
            account: row.get("account_id"),
            kind: row.get("kind"),
            currency: row.get("currency"),
            amount: row.get("amount_micros"),
            fee: row.get("fee_micros"),
            allocated: allocated.remove(&(tenant, settlement)).unwrap_or_default().into_iter().collect(),
            parts: parts.remove(&(tenant, settlement)).unwrap_or_default(),
        });
    }
    Ok(all)
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

async fn backs(page: &Page) -> Result<Of<Back>, DbError> {
    let read = |row: &Row| Back {
        back: row.get("back_id"),
        payment: row.get("payment_id"),
        currency: row.get("currency"),
        amount: row.get("amount_micros"),
        fee: row.get("fee_micros"),
        came_again: row.get("came_again"),
    };
    page.each(include_str!("audit_backs.sql"), read).await
}

async fn write_offs(page: &Page) -> Result<Of<(Uuid, Uuid, i64, String)>, DbError> {
    let read = |row: &Row| {
        (row.get("write_off_id"), row.get("account_id"), row.get("amount_micros"), row.get("currency"))
    };
    page.each(include_str!("audit_write_offs.sql"), read).await
}

async fn payouts(page: &Page) -> Result<Of<Payout>, DbError> {
    let line = |row: &Row| (row.get("transaction_id"), row.get("amount_micros"));
    let mut lines = page.parts(include_str!("audit_payout_lines.sql"), "payout_id", line).await?;
    let mut all: Of<Payout> = BTreeMap::new();
    for row in page.rows(include_str!("audit_payouts.sql")).await? {
        let (tenant, payout) = (tenant_of(&row), row.get("payout_id"));
        all.entry(tenant).or_default().push(Payout {
            payout,
            vendor: row.get("vendor_id"),
            currency: row.get("currency"),
            carried_in: row.get("carried_in_micros"),
            amount: row.get("amount_micros"),
            carried_out: row.get("carried_out_micros"),
            came_again: row.get("came_again"),
            lines: lines.remove(&(tenant, payout)).unwrap_or_default().into_iter().collect(),
        });
    }
    Ok(all)
}
