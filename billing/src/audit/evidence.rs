//! The rows that an audit is about, as they stand in the tables.

use super::changed::Decision;
use crate::ids::TenantId;
use jiff::{Timestamp, civil::Date};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Everything about one tenant: about its own account, and as [`Evidence::people`] about those of its people.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Whose.
    pub tenant: TenantId,
    /// Rehearsals count numbers apart.
    pub sandbox: bool,
    /// The payer.
    pub account: Uuid,
    /// In what it pays.
    pub currency: String,
    /// What was used, by meter and hour.
    pub used: Vec<Used>,
    /// Meters that the business made.
    pub meters: Vec<MeterRow>,
    /// Events about the account that nothing corrected.
    pub events: Vec<EventRow>,
    /// Legs that facts name and nobody knows.
    pub unknown_legs: Vec<Uuid>,
    /// First days of months that facts came for after they were final.
    pub late: BTreeSet<Date>,
    /// What the account is subscribed to.
    pub sold: Vec<Sold>,
    /// What decides how it is taxed.
    pub tax: TaxFacts,
    /// What coupons the account redeemed, in that order.
    pub coupons: Vec<CouponRow>,
    /// What credits it was given.
    pub credits: Vec<CreditRow>,
    /// Corrections of final statements, in the order of their numbers.
    pub credit_notes: Vec<CreditNoteRow>,
    /// Final statements in the order of their months.
    pub statements: Vec<Statement>,
    /// All entries of the tenant's ledger.
    pub entries: Vec<Entry>,
    /// The place of each transaction in the ledger: what was posted together has the same.
    pub posted: BTreeMap<Uuid, i64>,
    /// The tenant's own vendors.
    pub vendors: Vec<Uuid>,
    /// All payments.
    pub payments: Vec<Payment>,
    /// All that lowered a tab.
    pub settlements: Vec<Settlement>,
    /// What went back of payments.
    pub backs: Vec<Back>,
    /// What went out to vendors, in the order of their making.
    pub payouts: Vec<Payout>,
    /// Write-offs that two have decided: name, whose tab, how much and in what.
    pub write_offs: Vec<(Uuid, Uuid, i64, String)>,
    /// The open month's draft.
    pub draft: Option<Draft>,
    /// The accounts of the business's people. Of the ledger they have what is about them; the rest is the business's.
    pub people: Vec<Evidence>,
}

/// The first day of the month that a draft is of, until when it counts, and its lines.
pub type Draft = (Date, Timestamp, Vec<Line>);

/// A meter's sum over an hour.
#[derive(Debug, Clone)]
pub struct Used {
    /// Which meter.
    pub meter: String,
    /// The hour's start.
    pub hour: Timestamp,
    /// The greatest count of each leg, added.
    pub quantity: i64,
}

/// A meter as it is written.
#[derive(Debug, Clone)]
pub struct MeterRow {
    /// What prices call it.
    pub name: String,
    /// Its place among the tenant's meters.
    pub number: i32,
    /// To what it listens.
    pub event_type: String,
    /// `sum`, `maximum`, `latest`, `unique_count` or `time_weighted_sum`.
    pub aggregation: String,
    /// Where the value stands in the data; null counts events.
    pub value_property: Option<String>,
    /// `[{"property": …, "in": […]}]`.
    pub filters: Value,
    /// What tells series apart.
    pub dimensions: Vec<String>,
}

/// An event as it was reported.
#[derive(Debug, Clone)]
pub struct EventRow {
    /// Who reported it.
    pub source: String,
    /// Under which name.
    pub id: String,
    /// What happened.
    pub event_type: String,
    /// When.
    pub at: Timestamp,
    /// What meters read.
    pub data: Value,
    /// The number of the last meter that was there.
    pub meters_known: i32,
}

/// A subscription with the prices of a plan version that it was on.
#[derive(Debug, Clone)]
pub struct Sold {
    /// Its name.
    pub subscription: Uuid,
    /// Who sells it.
    pub vendor: Uuid,
    /// The first hour that is paid.
    pub starts: Timestamp,
    /// The first hour that is not.
    pub ends: Option<Timestamp>,
    /// Of which plan.
    pub plan: Uuid,
    /// On which plan version.
    pub plan_version: Uuid,
    /// What is sold, for the tax office: `standard`, `reduced`, `zero` or `exempt`.
    pub tax_class: String,
    /// Is the tax within its prices?
    pub prices_include_tax: bool,
    /// What was decided about it, how it began included; nothing if that is all.
    pub decisions: Vec<Decision>,
    /// What it costs.
    pub prices: Vec<PriceRow>,
}

/// A price as it is written.
#[derive(Debug, Clone)]
pub struct PriceRow {
    /// Its name.
    pub price: Uuid,
    /// Null when recurring.
    pub meter: Option<String>,
    /// For a recurring price, `month` or `year`.
    pub unit: String,
    /// What a recurring price counts: `subscription`, `seat`, `room` or `mailbox`.
    pub per: String,
    /// How much of the meter is a unit.
    pub unit_size: i64,
    /// How it grows.
    pub model: String,
    /// Ends of all tiers but the last.
    pub up_to: Vec<i64>,
    /// Rates of all tiers.
    pub rates: Vec<i64>,
    /// What is free.
    pub included: i64,
    /// What a month costs at least.
    pub minimum: Option<i64>,
    /// What it costs at most.
    pub cap: Option<i64>,
    /// In what.
    pub currency: String,
}

/// A final statement; amounts in micros.
#[derive(Debug, Clone)]
pub struct Statement {
    /// Its name, and that of its transaction.
    pub statement: Uuid,
    /// Whose numbers it takes.
    pub entity: String,
    /// Its place among them.
    pub series_number: i64,
    /// As the payer reads it.
    pub number: String,
    /// The month's first instant.
    pub starts: Timestamp,
    /// The first instant after it.
    pub ends: Timestamp,
    /// In what.
    pub currency: String,
    /// The sum of the lines.
    pub subtotal: i64,
    /// What the one before left.
    pub carried_in: i64,
    /// In whole minor units.
    pub total: i64,
    /// What of the total is tax.
    pub tax: i64,
    /// What of the tax is not within the prices of the lines.
    pub tax_on_top: i64,
    /// What of the total was paid by credits.
    pub credits: i64,
    /// How the tax comes about; empty where the account was not taxed.
    pub taxes: Vec<TaxRow>,
    /// What rounding left.
    pub carried_out: i64,
    /// What was owed before.
    pub tab_before: i64,
    /// And with it.
    pub tab_after: i64,
    /// What it is made of.
    pub lines: Vec<Line>,
}

/// A coupon that the account redeemed.
#[derive(Debug, Clone)]
pub struct CouponRow {
    /// Its name.
    pub coupon: Uuid,
    /// Of whose sales.
    pub vendor: Uuid,
    /// Of which plans; of all if there are none.
    pub plans: Vec<Uuid>,
    /// A share in millionths, or
    pub percent: Option<i64>,
    /// so much.
    pub amount: Option<i64>,
    /// First day of the first month that it counts for.
    pub from: Date,
    /// For so many months; for ever if there is no number.
    pub months: Option<i32>,
}

/// A credit that the account was given.
#[derive(Debug, Clone)]
pub struct CreditRow {
    /// Its name, and that of its transaction.
    pub credit: Uuid,
    /// How much.
    pub amount: i64,
    /// In what.
    pub currency: String,
    /// When it runs out.
    pub expires: Option<Timestamp>,
    /// What was used of it: statement, whether it expired, how much.
    pub uses: Vec<(Uuid, bool, i64)>,
}

/// A correction of a final statement; amounts in micros.
#[derive(Debug, Clone)]
pub struct CreditNoteRow {
    /// Its name, and that of its transaction.
    pub note: Uuid,
    /// Of which statement.
    pub statement: Uuid,
    /// Whose numbers it takes.
    pub entity: String,
    /// Its place among them.
    pub series_number: i64,
    /// As the payer reads it.
    pub number: String,
    /// In what.
    pub currency: String,
    /// Without tax.
    pub net: i64,
    /// The tax.
    pub tax: i64,
    /// Both.
    pub total: i64,
    /// What it takes back: line, who sold it, how much.
    pub lines: Vec<(Uuid, Uuid, i64)>,
    /// And of what was taxed alike: place in the breakdown, without tax, and the tax.
    pub taxes: Vec<(i32, i64, i64)>,
}

/// What decides how an account is taxed, as it stands in the tables.
#[derive(Debug, Clone, Default)]
pub struct TaxFacts {
    /// Where the seller was, from when on; oldest first.
    pub sellers: Vec<(Timestamp, String)>,
    /// What the account said of itself, in the order of its saying.
    pub buyers: Vec<TaxBuyer>,
    /// Country, class, first day and millionths.
    pub rates: Vec<(String, String, Date, i64)>,
}

/// What an account said of itself.
#[derive(Debug, Clone)]
pub struct TaxBuyer {
    /// From when on.
    pub from: Timestamp,
    /// Where it is.
    pub country: String,
    /// Has it a VAT number?
    pub is_business: bool,
    /// Was it exempted?
    pub is_exempt: bool,
}

/// One row of a statement's breakdown; amounts in micros.
#[derive(Debug, Clone)]
pub struct TaxRow {
    /// Its place, from 1.
    pub position: i32,
    /// `S`, `AA`, `Z`, `E`, `AE` or `O`.
    pub category: String,
    /// Whose tax it is.
    pub country: Option<String>,
    /// 190,000 are 19 %.
    pub rate: i64,
    /// Is the tax within the prices?
    pub includes: bool,
    /// The sum of its lines.
    pub priced: i64,
    /// In whole minor units, without tax.
    pub taxable: i64,
    /// The tax of that.
    pub tax: i64,
    /// In what.
    pub currency: String,
}

/// One line.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its name.
    pub line: Uuid,
    /// `recurring`, `metered`, `adjustment` or `discount`.
    pub kind: String,
    /// Of which subscription.
    pub subscription: Uuid,
    /// At which price.
    pub price: Uuid,
    /// Sold by whom.
    pub vendor: Uuid,
    /// How much.
    pub quantity: Option<i64>,
    /// For how much.
    pub amount: i64,
    /// In what.
    pub currency: String,
    /// First day of the month that it is about.
    pub month: Date,
    /// Its place in the breakdown of taxes, from 1.
    pub tax_group: Option<i32>,
    /// A discount: by which coupon, and off which line.
    pub discount: Option<(Uuid, Uuid)>,
    /// The hours that it is made of, where they are kept.
    pub hours: Vec<Charged>,
}

/// What an hour was charged.
#[derive(Debug, Clone)]
pub struct Charged {
    /// The hour's start.
    pub hour: Timestamp,
    /// How much.
    pub quantity: i64,
    /// For how much.
    pub amount: i64,
    /// In what.
    pub currency: String,
}

/// One side of a transaction.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Of which transaction.
    pub transaction: Uuid,
    /// Where, as `receivable:…`.
    pub account: String,
    /// In what.
    pub currency: String,
    /// Debit above zero.
    pub amount: i64,
}

/// An attempt to take money.
#[derive(Debug, Clone)]
pub struct Payment {
    /// Its name.
    pub payment: Uuid,
    /// Its place in the order of their making.
    pub number: i64,
    /// Who pays.
    pub account: Uuid,
    /// `collection`, or something that fills a wallet.
    pub purpose: String,
    /// `attempted`, `succeeded` or `failed`.
    pub state: String,
    /// In what.
    pub currency: String,
    /// How much.
    pub amount: i64,
    /// What the processor kept.
    pub fee: i64,
}

/// Something that lowered a tab.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// Its name, also in the ledger.
    pub settlement: Uuid,
    /// Whose tab.
    pub account: Uuid,
    /// `collection`, `wallet` or `write_off`.
    pub kind: String,
    /// In what.
    pub currency: String,
    /// How much.
    pub amount: i64,
    /// What it cost.
    pub fee: i64,
    /// What was laid against which statement.
    pub allocated: BTreeMap<Uuid, i64>,
    /// Whose it is.
    pub parts: Vec<Part>,
}

/// Somebody's part of a settlement.
#[derive(Debug, Clone)]
pub struct Part {
    /// Where it was earned.
    pub account: String,
    /// Owed to a vendor?
    pub passed_on: bool,
    /// Of what was paid.
    pub gross: i64,
    /// What the platform keeps, in thousandths.
    pub platform_per_mille: i32,
    /// The same in micros.
    pub platform: i64,
    /// Its part of the fee.
    pub fee: i64,
    /// What is left.
    pub net: i64,
}

/// Money that went back of a payment.
#[derive(Debug, Clone)]
pub struct Back {
    /// Its name, also in the ledger.
    pub back: Uuid,
    /// Of which payment.
    pub payment: Uuid,
    /// In what.
    pub currency: String,
    /// How much.
    pub amount: i64,
    /// What the processor took for it, where the payer objected.
    pub fee: i64,
    /// The processor gave it again, or never sent it.
    pub came_again: bool,
}

/// Money that went out to a vendor.
#[derive(Debug, Clone)]
pub struct Payout {
    /// Its name, also in the ledger.
    pub payout: Uuid,
    /// To whom.
    pub vendor: Uuid,
    /// In what.
    pub currency: String,
    /// What the one before left.
    pub carried_in: i64,
    /// How much.
    pub amount: i64,
    /// What it leaves.
    pub carried_out: i64,
    /// It failed.
    pub came_again: bool,
    /// Which transactions it pays, and how much each added.
    pub lines: BTreeMap<Uuid, i64>,
}

impl Evidence {
    /// An account of which nothing else is known yet.
    pub fn of(tenant: TenantId, account: Uuid, currency: String) -> Self {
        Self {
            tenant,
            sandbox: false,
            account,
            currency,
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
            people: Vec::new(),
        }
    }

    /// Of a business: its people's accounts, with what its ledger says of them.
    pub fn add_people(&mut self, people: Vec<Evidence>) {
        self.people = people;
        let mut entries: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        if !self.people.is_empty() {
            for entry in &self.entries {
                let owner = entry.account.split_once(':').map_or("", |(_, owner)| owner);
                entries.entry(owner).or_default().push(entry);
            }
        }
        for person in &mut self.people {
            let own = entries.remove(person.account.to_string().as_str()).unwrap_or_default();
            person.posted = own
                .iter()
                .filter_map(|entry| Some((entry.transaction, *self.posted.get(&entry.transaction)?)))
                .collect();
            person.entries = own.into_iter().cloned().collect();
        }
    }

    /// The business's own account, and those of its people.
    pub(super) fn accounts(&self) -> impl Iterator<Item = &Evidence> {
        [self].into_iter().chain(&self.people)
    }

    /// A transaction's place in the ledger.
    pub(super) fn order_of(&self, transaction: Uuid) -> i64 {
        self.posted.get(&transaction).copied().unwrap_or(i64::MAX)
    }

    /// What stood on a tab before a place in the ledger.
    pub(super) fn receivable_before(&self, account: Uuid, place: i64) -> i128 {
        let name = format!("receivable:{account}");
        let before =
            self.entries.iter().filter(|it| it.account == name && self.order_of(it.transaction) < place);
        before.map(|it| i128::from(it.amount)).sum()
    }
}
