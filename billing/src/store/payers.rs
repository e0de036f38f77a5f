//! Payers as a decision about their money needs them, and what they said about paying.

use super::row::{currency, money, new_id, stored};
use crate::{
    collection::{Failures, Owed, Situation, TopUp, Way, Wish, dunning::Failure, oldest_unpaid},
    currency::Currency,
    db::{DbError, Transaction},
    ids::{AccountId, PaymentMethodId, TenantId},
    money::Money,
    payment::{Method, Settings},
    processor::{Processor, Rail},
};
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

/// Settings of one account: a person changes its mind, a program gone wild is stopped.
const SETTINGS_MAX: i32 = 10_000;

/// Whose money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Who {
    /// Of which business.
    pub tenant: TenantId,
    /// Which payer.
    pub account: AccountId,
}

/// A payer with everything that a decision depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payer {
    /// Who.
    pub who: Who,
    /// What time it is there.
    pub at: Timestamp,
    /// A rehearsal?
    pub sandbox: bool,
    /// By what it pays, and the processor's name for that.
    pub method: Option<(PaymentMethodId, String)>,
    /// What a decision depends on.
    pub situation: Situation,
}

impl Payer {
    /// Of everything it pays.
    pub fn currency(&self) -> Currency {
        self.situation.owed.amount.currency
    }
}

/// A page of payers that owe something, after one.
pub async fn owing_after(
    collecting: &Transaction,
    after: Who,
    limit: i64,
    sandboxes_only: bool,
) -> Result<Vec<Who>, DbError> {
    let sql = match sandboxes_only {
        true => include_str!("owing_sandboxes.sql"),
        false => include_str!("owing.sql"),
    };
    let rows = collecting.all(sql, &[&after.tenant.0, &after.account.0, &limit]).await?;
    Ok(rows.iter().map(who).collect())
}

/// Payers as they are now. Unknown ones are left out.
pub async fn payers(
    tx: &Transaction,
    processor: &impl Processor,
    who: &[Who],
    now: Timestamp,
) -> Result<Vec<Payer>, DbError> {
    let (tenants, accounts): (Vec<Uuid>, Vec<Uuid>) =
        who.iter().map(|who| (who.tenant.0, who.account.0)).unzip();
    let rows = tx.all(include_str!("payers.sql"), &[&tenants, &accounts, &now]).await?;
    rows.iter().map(|row| payer(row, processor)).collect()
}

pub(super) fn who(row: &Row) -> Who {
    Who { tenant: TenantId(row.get("tenant_id")), account: AccountId(row.get("account_id")) }
}

fn payer(row: &Row, processor: &impl Processor) -> Result<Payer, DbError> {
    let amount = money(row, "owed")?;
    let method = row.get::<_, Option<Uuid>>("payment_method_id").map(PaymentMethodId);
    // A method of another processor than ours cannot be charged by ours.
    let is_ours = row.get::<_, Option<&str>>("processor") == Some(processor.name());
    Ok(Payer {
        who: who(row),
        at: row.get("at"),
        sandbox: row.get("sandbox"),
        method: method.zip(row.get("token")).filter(|_| is_ours),
        situation: Situation {
            owed: Owed { amount, since: since(row, amount) },
            wallet: money(row, "wallet")?,
            refill: refill(row, amount.currency),
            way: if is_ours { way(row, processor)? } else { None },
            wish: wish(row, amount.currency),
            closing: row.get("closing"),
            under_way: row.get("under_way"),
        },
    })
}

fn since(row: &Row, owed: Money) -> Option<Timestamp> {
    let totals: Vec<i64> = row.get::<_, Option<_>>("totals").unwrap_or_default();
    let finals: Vec<Timestamp> = row.get::<_, Option<_>>("finals").unwrap_or_default();
    let statements = finals.into_iter().zip(totals);
    oldest_unpaid(statements.map(|(at, micros)| (at, Money { micros, ..owed })), owed)
}

fn refill(row: &Row, currency: Currency) -> Option<TopUp> {
    let amount: Option<i64> = row.get("top_up_micros");
    let (amount, ceiling) = amount.zip(row.get::<_, Option<i64>>("top_up_ceiling_micros"))?;
    let money = |micros| Money::micros(micros, currency);
    let this_month = row.get::<_, Option<i64>>("refilled").unwrap_or_default();
    Some(TopUp { amount: money(amount), monthly_ceiling: money(ceiling), this_month: money(this_month) })
}

fn way(row: &Row, processor: &impl Processor) -> Result<Option<Way>, DbError> {
    let rail: Rail = row.get::<_, &str>("rail").parse().map_err(stored)?;
    let Some(fees) = processor.fees(rail, currency(row)?) else { return Ok(None) };
    let failures = match row.get::<_, Option<&str>>("last_failure") {
        None => None,
        Some(last) => Some(Failures {
            count: usize::try_from(row.get::<_, i64>("failures")).map_err(stored)?,
            since: row.get("failing_since"),
            last: failure(last)?,
        }),
    };
    Ok(Some(Way { fees, failures }))
}

pub(super) fn failure(word: &str) -> Result<Failure, DbError> {
    match word {
        "passing" => Ok(Failure::Passing),
        "lasting" => Ok(Failure::Lasting),
        other => Err(stored(format!("a failure {other}"))),
    }
}

fn wish(row: &Row, currency: Currency) -> Wish {
    let least: Option<i64> = row.get("at_least_micros");
    least.map_or(Wish::AsPolicy, |micros| Wish::AtLeast(Money::micros(micros, currency)))
}

/// A way to pay that a payer names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMethod {
    /// At which processor.
    pub processor: &'static str,
    /// By what money comes.
    pub rail: Rail,
    /// The processor's name for it.
    pub token: String,
    /// What the payer calls it.
    pub label: String,
}

/// Writes down a way to pay and pays by it from now on.
pub async fn name_method(
    tx: &Transaction,
    who: Who,
    new: NewMethod,
    now: Timestamp,
    at: Timestamp,
) -> Result<Option<Method>, DbError> {
    let payment_method_id = PaymentMethodId(new_id(now));
    let NewMethod { processor, rail, token, label } = new;
    let (tenant, account) = (who.tenant.0, who.account.0);
    let sql = include_str!("insert_payment_method.sql");
    tx.run(sql, &[&tenant, &account, &payment_method_id.0, &processor, &rail.as_str(), &token, &label, &at])
        .await?;
    let kept = settings(tx, who).await?;
    let is_kept = set(tx, who, Settings { method: Some(payment_method_id), ..kept }, at).await?;
    let method = Method { payment_method_id, processor: processor.into(), rail, label, created_at: at };
    Ok(is_kept.then_some(method))
}

/// The ways to pay of an account, newest first.
pub async fn methods(tx: &Transaction, who: Who) -> Result<Vec<Method>, DbError> {
    let rows = tx.all(include_str!("payment_methods.sql"), &[&who.tenant.0, &who.account.0]).await?;
    let read = |row: &Row| {
        Ok(Method {
            payment_method_id: PaymentMethodId(row.get("payment_method_id")),
            processor: row.get("processor"),
            rail: row.get::<_, &str>("rail").parse().map_err(stored)?,
            label: row.get("label"),
            created_at: row.get("created_at"),
        })
    };
    rows.iter().map(read).collect()
}

/// What an account said last about paying; nothing if it said nothing.
pub async fn settings(tx: &Transaction, who: Who) -> Result<Settings, DbError> {
    let row = tx.optional(include_str!("payment_settings.sql"), &[&who.tenant.0, &who.account.0]).await?;
    let Some(row) = row else { return Ok(Settings::default()) };
    let currency = currency(&row)?;
    let amount = |column| row.get::<_, Option<i64>>(column).map(|micros| Money::micros(micros, currency));
    let top_up = amount("top_up_micros").zip(amount("top_up_ceiling_micros"));
    let refill = top_up.map(|(amount, monthly_ceiling)| TopUp {
        amount,
        monthly_ceiling,
        this_month: Money::zero(currency),
    });
    let method = row.get::<_, Option<Uuid>>("payment_method_id").map(PaymentMethodId);
    Ok(Settings { method, at_least: amount("at_least_micros"), refill })
}

/// Writes down what an account says about paying. False: it has said too much already.
pub async fn set(tx: &Transaction, who: Who, say: Settings, at: Timestamp) -> Result<bool, DbError> {
    let (tenant, account) = (who.tenant.0, who.account.0);
    let row = tx.optional(include_str!("payment_settings.sql"), &[&tenant, &account]).await?;
    let last: Option<i32> = row.and_then(|row| row.get("sequence"));
    let sequence = last.unwrap_or_default() + 1;
    if sequence > SETTINGS_MAX {
        return Ok(false);
    }
    let micros = |amount: Option<Money>| amount.map(|amount| amount.micros);
    let (top_up, ceiling) =
        (micros(say.refill.map(|rule| rule.amount)), micros(say.refill.map(|rule| rule.monthly_ceiling)));
    let method = say.method.map(|method| method.0);
    let sql = include_str!("insert_payment_setting.sql");
    tx.run(sql, &[&tenant, &account, &sequence, &method, &micros(say.at_least), &top_up, &ceiling, &at])
        .await?;
    Ok(true)
}
