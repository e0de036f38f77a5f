//! A second opinion on every final statement: from facts, catalogue and subscriptions to lines, totals and the ledger.
//!
//! It shares no rule with the code that bills, only the rounding of [`crate::money`]: prices, months and sums are worked
//! out again from the rows, in another way. [`examine`] is a pure function of [`Evidence`]; each [`Difference`] it finds
//! names a rule, a place, what ought to stand there and what does. None is the only good answer.

mod chain;
mod changed;
mod credit_notes;
mod credits;
mod discounts;
mod events;
mod evidence;
mod ledger;
mod movements;
mod numbers;
mod price;
mod statements;
mod tax;
mod usage;

pub use chain::{Block, Posted, examine_block};
pub use changed::Decision;
pub use evidence::{
    Back, Charged, CouponRow, CreditNoteRow, CreditRow, Draft, Entry, EventRow, Evidence, Line, MeterRow,
    Part, Payment, Payout, PriceRow, Settlement, Sold, Statement, TaxBuyer, TaxFacts, TaxRow, Used,
};
pub use numbers::{Number, Series, missing_numbers};

use crate::{
    db::Db,
    ids::TenantId,
    store::{self, StoreError},
};
use jiff::Timestamp;
use std::fmt;
use uuid::Uuid;

/// Something that is not as it ought to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Whose books; nil for what belongs to all.
    pub tenant: TenantId,
    /// What must always hold.
    pub rule: Rule,
    /// Where it does not: a statement's number, a line, a transaction.
    pub place: String,
    /// What ought to stand there.
    pub expected: String,
    /// What does.
    pub found: String,
}

/// What must always hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A line bills what its price says about what was used.
    LineBillsUsage,
    /// What was billed has been used: counters do not fall.
    UsageNeverFalls,
    /// Each line is of a subscription of the account, at a price of its plan version, for its vendor.
    LineIsOfASubscription,
    /// A line, its statement and its account are in one currency.
    OneCurrency,
    /// A month is adjusted only if facts came for it after it was final.
    OnlyLateMonthsAreAdjusted,
    /// The hours of a line add up to it.
    HoursAddUp,
    /// An hour that is charged lies in the month that its line is about.
    HourLiesInMonth,
    /// The lines of a statement add up to its subtotal.
    LinesAddUp,
    /// What comes in is what the statement before carried on.
    CarriedComesIn,
    /// The total is the subtotal and what came in, in whole minor units.
    TotalIsRoundedOnce,
    /// What the rounding left is carried on.
    RestIsCarriedOn,
    /// Each line is taxed as where the seller and the buyer are, what is sold, and the rates of its month say.
    LineHasItsTax,
    /// The lines of one way to be taxed add up to what that way says.
    TaxedLinesAddUp,
    /// A tax is its taxable amount times its rate, rounded once.
    TaxIsItsRate,
    /// The taxes of a statement add up to its tax.
    TaxesAddUp,
    /// A discount is what its coupon takes off the line that it names.
    DiscountIsOfACoupon,
    /// The credit that runs out first is used first, and only what ran out expires.
    CreditIsUsedInOrder,
    /// No more of a credit is used than was given.
    CreditIsNotExceeded,
    /// A credit is posted when it is given and when it runs out.
    CreditIsPosted,
    /// A credit note corrects a final statement of the account.
    CreditNoteIsOfAStatement,
    /// What credit notes take back of a line is no more than its part of what was billed.
    CreditNoteIsWithinTheBill,
    /// A credit note takes back of each tax what falls to it, and adds up.
    CreditNoteAddsUp,
    /// A credit note is posted as it says, under its own id.
    CreditNoteIsPosted,
    /// The tab is what the ledger says it was, and grows by each total.
    TabGrowsByTotals,
    /// An account's statements follow each other month by month.
    MonthsFollow,
    /// A statement is for one whole calendar month.
    StatementIsAMonth,
    /// A statement is posted as it says, under its own id.
    StatementIsPosted,
    /// Money that moved is posted as it moved, once.
    MovementIsPosted,
    /// Nothing else is posted.
    PostingHasAStatement,
    /// A payment that succeeded lowers the tab by what it took, and nothing else does as a collection.
    PaymentIsSettled,
    /// Money is laid against the oldest statement first.
    OldestIsPaidFirst,
    /// What was paid falls to those who earned it, with the platform's share and the fee's parts, and adds up.
    SharesAddUp,
    /// No more of a payment goes back than came.
    NoMoreGoesBack,
    /// What a payout is made of adds up to it.
    PayoutLinesAddUp,
    /// Each transaction on a vendor's account is paid once, and none is passed over.
    PayoutPaysWhatIsOwed,
    /// What is given up was approved by somebody else than who proposed it.
    WriteOffIsApproved,
    /// A draw bears the part of the top-ups' fees that falls to it.
    DrawBearsItsFee,
    /// A wallet never holds less than nothing.
    WalletIsNeverNegative,
    /// A transaction adds to zero in every currency.
    TransactionBalances,
    /// A number is its series' prefix and its place in it, and a sandbox has a series of its own.
    NumberIsOfItsSeries,
    /// Every number of a series is on exactly one statement.
    NumbersHaveNoGaps,
    /// Usage belongs to a leg that is known.
    UsageHasALeg,
    /// The draft shows what it would bill.
    DraftBillsUsage,
    /// What happened at the processor is in the books.
    NewsAreTakenIn,
    /// Each block of the ledger's chain follows the one before it.
    BlocksFollow,
    /// What a block covers is what it was when it was sealed.
    BlockIsAsSealed,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { tenant, rule, place, expected, found } = self;
        write!(f, "{rule:?} tenant {tenant}, {place}: expected {expected}, found {found}")
    }
}

/// What an audit looked at, and what it found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    /// Businesses' accounts and their people's.
    pub accounts: u64,
    /// Final statements.
    pub statements: u64,
    /// Where the ledger's chain ends: whoever wrote this down elsewhere sees later whether the past was forged.
    pub head: Option<Head>,
    /// What is not as it ought to be.
    pub differences: Vec<Difference>,
}

/// The last block of the ledger's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its place, from 1.
    pub number: i64,
    /// Its SHA-256 in hex.
    pub hash: String,
}

/// All books, a few tenants at a time. Runs beside the service: what is read together is read in one snapshot.
pub async fn audit(db: &Db, now: Timestamp) -> Result<Report, StoreError> {
    let mut report = Report::default();
    let service = db.service().await?;
    // Read first: numbers that are given out from now on are not missed.
    let series = store::number_series(&service).await?;
    service.rollback().await?;
    let (mut numbers, mut after) = (Vec::new(), TenantId(Uuid::nil()));
    loop {
        let service = db.service().await?;
        let page = store::tenants_after(&service, after, PAGE).await?;
        service.rollback().await?;
        let Some(last) = page.last() else { break };
        after = *last;
        for part in examine_all(db, &page, now).await? {
            report.accounts += part.accounts;
            report.statements += part.statements;
            numbers.extend(part.numbers);
            report.differences.extend(part.differences);
        }
    }
    report.differences.extend(missing_numbers(&series, numbers));
    find_waiting_news(db, &mut report).await?;
    follow_chain(db, &mut report).await?;
    Ok(report)
}

/// What was found in the books of some tenants.
#[derive(Default)]
struct Examined {
    accounts: u64,
    statements: u64,
    numbers: Vec<Number>,
    differences: Vec<Difference>,
}

/// The books of tenants, several read and worked out at a time; what was found is in the order of the tenants.
async fn examine_all(db: &Db, tenants: &[TenantId], now: Timestamp) -> Result<Vec<Examined>, StoreError> {
    let each = tenants.len().div_ceil(READERS).max(1);
    let mut readers = Vec::new();
    for some in tenants.chunks(each) {
        readers.push(tokio::spawn(examine_some(db.clone(), some.to_vec(), now)));
    }
    let mut parts = Vec::new();
    for reader in readers {
        parts.push(reader.await.expect("an auditor neither panics nor is stopped")?);
    }
    Ok(parts)
}

async fn examine_some(db: Db, tenants: Vec<TenantId>, now: Timestamp) -> Result<Examined, StoreError> {
    let mut part = Examined::default();
    let counted = store::audit_weights(&db, &tenants).await?;
    for some in in_batches(&counted, WEIGHT_MAX) {
        for evidence in store::evidence(&db, &some, now).await? {
            for account in evidence.accounts() {
                part.accounts += 1;
                part.statements += account.statements.len() as u64;
                part.numbers.extend(account.statements.iter().map(Number::of));
                part.numbers.extend(account.credit_notes.iter().map(Number::of_note));
            }
            part.differences.extend(examine(&evidence));
        }
    }
    Ok(part)
}

/// Tenants whose books are held together, in their order: as many as weigh so much in all, or one that weighs more.
fn in_batches(counted: &[(TenantId, i64)], most: i64) -> Vec<Vec<TenantId>> {
    let (mut batches, mut held): (Vec<Vec<TenantId>>, i64) = (Vec::new(), 0);
    for (tenant, weight) in counted {
        held = held.saturating_add(*weight);
        match batches.last_mut() {
            Some(batch) if held <= most => batch.push(*tenant),
            _ => {
                batches.push(vec![*tenant]);
                held = *weight;
            }
        }
    }
    batches
}

/// What could not be taken in of a processor's news.
async fn find_waiting_news(db: &Db, report: &mut Report) -> Result<(), StoreError> {
    let collecting = db.collecting().await?;
    let mut found = Findings { tenant: TenantId(Uuid::nil()), differences: Vec::new() };
    for news in store::waiting_news(&collecting).await? {
        let place = format!("{} news {}, {} of {}", news.processor, news.number, news.what, news.charge);
        found.add(Rule::NewsAreTakenIn, place, "taken in", news.reason);
    }
    collecting.rollback().await?;
    report.differences.extend(found.differences);
    Ok(())
}

/// Block after block, with the transactions that each covers.
async fn follow_chain(db: &Db, report: &mut Report) -> Result<(), StoreError> {
    let sealing = db.sealing().await?;
    let mut before: Option<Block> = None;
    while let Some((block, posted)) =
        store::block_after(&sealing, before.as_ref().map_or(0, |it| it.number)).await?
    {
        report.differences.extend(examine_block(before.as_ref(), &block, &posted));
        before = Some(block);
    }
    sealing.rollback().await?;
    report.head = before.map(|last| Head { number: last.number, hash: chain::hex(&last.hash) });
    Ok(())
}

/// Tenants listed at once; each reader holds the books of its part of them at most.
const PAGE: i64 = 256;
/// Events that a reader holds at once, and people's accounts as fifty events each, unless one business has more: of most other
/// things there is a handful a month, but of these there may be any number. Some 50 MB at a kilobyte an event.
const WEIGHT_MAX: i64 = 50_000;
/// Connections that read at a time.
const READERS: usize = 4;

/// The books of one business and its people.
pub fn examine(evidence: &Evidence) -> Vec<Difference> {
    let mut found = Findings { tenant: evidence.tenant, differences: Vec::new() };
    for account in evidence.accounts() {
        usage::examine(account, &mut found);
        statements::examine(account, &mut found);
        credits::examine(account, &mut found);
        credit_notes::examine(account, &mut found);
    }
    ledger::examine(evidence, &mut found);
    movements::examine(evidence, &mut found);
    for account in evidence.accounts() {
        numbers::examine(account, &mut found);
    }
    found.differences
}

/// Where the parts of an audit write what they find.
struct Findings {
    tenant: TenantId,
    differences: Vec<Difference>,
}

impl Findings {
    /// Two things that ought to be the same.
    fn compare<T: PartialEq + fmt::Display>(
        &mut self,
        rule: Rule,
        place: impl fmt::Display,
        expected: T,
        found: T,
    ) {
        if expected != found {
            self.add(rule, place, expected, found);
        }
    }

    fn add(
        &mut self,
        rule: Rule,
        place: impl fmt::Display,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) {
        self.differences.push(Difference {
            tenant: self.tenant,
            rule,
            place: place.to_string(),
            expected: expected.to_string(),
            found: found.to_string(),
        });
    }
}

#[cfg(test)]
mod tests;
