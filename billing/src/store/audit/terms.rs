//! On which terms it was sold: subscriptions and prices, tax, coupons and credits.

use super::{OfEach, Page, of_each, who_of};
use crate::{
    audit::{CouponRow, CreditRow, Decision, Evidence, PriceRow, Sold, TaxBuyer, TaxFacts},
    db::DbError,
    ids::TenantId,
    store::{Who, books::tenant_of, payers::who},
};
use std::collections::BTreeMap;
use tokio_postgres::Row;
use uuid::Uuid;

/// On which terms.
pub(super) async fn add(page: &Page, all: &mut [Evidence]) -> Result<(), DbError> {
    let mut sold = sold(page).await?;
    let mut tax = tax_facts(page).await?;
    let mut coupons = coupons(page).await?;
    let mut credits = credits(page).await?;
    for it in all {
        it.sold = of_each(&mut sold, it);
        it.tax = tax.remove(&who_of(it)).unwrap_or_default();
        it.coupons = of_each(&mut coupons, it);
        it.credits = of_each(&mut credits, it);
    }
    Ok(())
}

async fn sold(page: &Page) -> Result<OfEach<Sold>, DbError> {
    let mut all: OfEach<Sold> = BTreeMap::new();
    let mut decisions: BTreeMap<_, Vec<Decision>> = BTreeMap::new();
    for row in page.rows_of_each(include_str!("decisions.sql")).await? {
        let of: (TenantId, Uuid) = (tenant_of(&row), row.get("subscription_id"));
        decisions.entry(of).or_default().push(decision(&row));
    }
    for row in page.rows_of_each(include_str!("sold.sql")).await? {
        let (tenant, subscription) = (tenant_of(&row), row.get("subscription_id"));
        let plan_version = row.get("plan_version_id");
        let sold = all.entry(who(&row)).or_default();
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

/// What decides how accounts are taxed. Where nobody said anything, nothing more is asked.
async fn tax_facts(page: &Page) -> Result<BTreeMap<Who, TaxFacts>, DbError> {
    let buyer = |row: &Row| TaxBuyer {
        from: row.get("valid_from"),
        country: row.get("country"),
        is_business: row.get::<_, Option<&str>>("vat_id").is_some(),
        is_exempt: row.get::<_, Option<&str>>("exemption").is_some(),
    };
    let buyers = page.of_each(include_str!("../tax_buyers.sql"), buyer).await?;
    if buyers.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sellers = page.tx.all(include_str!("../tax_sellers.sql"), &[]).await?;
    let rates = page.tx.all(include_str!("../tax_rates.sql"), &[]).await?;
    let rate =
        |row: &Row| (row.get("country"), row.get("class"), row.get("valid_from"), row.get("rate_millionths"));
    let facts = |(who, buyers)| {
        let sellers = sellers.iter().map(|row| (row.get("valid_from"), row.get("country"))).collect();
        (who, TaxFacts { sellers, buyers, rates: rates.iter().map(rate).collect() })
    };
    Ok(buyers.into_iter().map(facts).collect())
}

/// What accounts redeemed.
async fn coupons(page: &Page) -> Result<OfEach<CouponRow>, DbError> {
    let read = |row: &Row| CouponRow {
        coupon: row.get("coupon_id"),
        vendor: row.get("vendor_id"),
        plans: row.get("plans"),
        percent: row.get("percent_millionths"),
        amount: row.get("amount_micros"),
        from: row.get("month"),
        months: row.get("months"),
    };
    page.of_each(include_str!("../redeemed_coupons.sql"), read).await
}

/// What accounts were given, with what became of it.
async fn credits(page: &Page) -> Result<OfEach<CreditRow>, DbError> {
    let mut all: OfEach<CreditRow> = BTreeMap::new();
    for row in page.rows_of_each(include_str!("credits.sql")).await? {
        let credits = all.entry(who(&row)).or_default();
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
