//! A processor to rehearse with: no money moves, and it says so. Minimums and fees are those of Stripe's price list; what
//! becomes of a charge is written in the payment method's token.

use super::{Answer, Event, News, Order, Processor, ProcessorError, Rail, What};
use crate::{
    collection::{FeeSchedule, dunning::Failure},
    currency::Currency,
    db::{Db, DbError, Transaction},
    money::{MICROS_PER_MINOR, Money},
};
use tokio_postgres::Row;
use uuid::Uuid;

/// News at once.
const NEWS_MAX: i64 = 100;
/// What the processor takes for a payer's objection, in minor units of a currency with two decimals.
const DISPUTE_MINOR: i64 = 1_500;

/// Keeps its orders in a table of its own, so that it knows after a restart what it has done.
#[derive(Debug, Clone)]
pub struct Sandbox {
    db: Db,
}

/// What a token tells the sandbox to do with a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    Succeeds,
    /// Never any funds, or none so many times.
    NoFunds {
        times: Option<i64>,
    },
    CardLost,
    Disputed {
        won: bool,
    },
    /// The charge is made, and the answer gets lost.
    AnswerLost,
    /// The first request gets lost on its way.
    RequestLost,
}

impl Script {
    /// A token that says nothing else succeeds.
    fn of(token: &str) -> Self {
        match token {
            "sandbox_no_funds" => Self::NoFunds { times: None },
            "sandbox_no_funds_once" => Self::NoFunds { times: Some(1) },
            "sandbox_no_funds_twice" => Self::NoFunds { times: Some(2) },
            "sandbox_card_lost" => Self::CardLost,
            "sandbox_dispute_won" => Self::Disputed { won: true },
            "sandbox_dispute_lost" => Self::Disputed { won: false },
            "sandbox_answer_lost" => Self::AnswerLost,
            "sandbox_request_lost" => Self::RequestLost,
            _ => Self::Succeeds,
        }
    }
}

impl Sandbox {
    /// Its orders stand in this database, in a scope of their own.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Carries out an order that was never given before.
    async fn carry_out(&self, tx: &Transaction, order: &Order) -> Result<Answer, DbError> {
        let script = match &order.what {
            What::Charge { token: target, .. } | What::PayOut { destination: target } => Script::of(target),
            What::Refund { .. } => Script::Succeeds,
        };
        let answer = self.decide(tx, order, script).await?;
        insert(tx, order, &answer, script != Script::RequestLost).await?;
        if let (Script::Disputed { won }, Answer::Done { .. }) = (script, &answer) {
            object(tx, order, won).await?;
        }
        Ok(answer)
    }

    async fn decide(&self, tx: &Transaction, order: &Order, script: Script) -> Result<Answer, DbError> {
        let fee = match self.fee(order) {
            Ok(fee) => fee,
            Err(detail) => return Ok(failed(Failure::Lasting, detail)),
        };
        Ok(match script {
            Script::CardLost => failed(Failure::Lasting, "it was reported lost"),
            Script::NoFunds { times } if times.is_none_or(|times| times > 0) => {
                let before = attempts(tx, order).await?;
                match times.is_some_and(|times| before >= times) {
                    true => done(order, fee),
                    false => failed(Failure::Passing, "there are no funds at the moment"),
                }
            }
            _ => done(order, fee),
        })
    }

    /// What an order costs; why it is refused.
    fn fee(&self, order: &Order) -> Result<Money, &'static str> {
        let nothing = Money::zero(order.amount.currency);
        let What::Charge { .. } = order.what else { return Ok(nothing) };
        let fees = self.fees(Rail::Card, order.amount.currency).ok_or("the currency is not taken")?;
        if !fees.takes(order.amount) {
            return Err("the amount is below the minimum");
        }
        fees.fee(order.amount).map_err(|_| "the amount is too large")
    }
}

impl Processor for Sandbox {
    fn name(&self) -> &'static str {
        "sandbox"
    }

    fn says(&self) -> &'static str {
        "This is a sandbox: no money moves, whatever is paid here."
    }

    fn fees(&self, rail: Rail, currency: Currency) -> Option<FeeSchedule> {
        crate::collection::price_list(rail, currency)
    }

    async fn submit(&self, order: &Order) -> Result<Answer, ProcessorError> {
        let tx = self.db.processing().await.map_err(unknown)?;
        let found =
            tx.optional(include_str!("../store/sandbox_order.sql"), &[&order.id]).await.map_err(unknown)?;
        let (answer, is_lost) = match &found {
            Some(row) => {
                must_be_same(row, order)?;
                tx.run("update sandbox_order set answered = true where order_id = $1", &[&order.id])
                    .await
                    .map_err(unknown)?;
                (answer_of(row).map_err(unknown)?, false)
            }
            None => (self.carry_out(&tx, order).await.map_err(unknown)?, loses(order)),
        };
        tx.commit().await.map_err(unknown)?;
        match is_lost {
            true => Err(ProcessorError::Unknown("the connection was cut".into())),
            false => Ok(answer),
        }
    }

    async fn look_up(&self, id: Uuid) -> Result<Option<Answer>, ProcessorError> {
        let tx = self.db.processing().await.map_err(unknown)?;
        let row = tx.optional(include_str!("../store/sandbox_order.sql"), &[&id]).await.map_err(unknown)?;
        tx.rollback().await.map_err(unknown)?;
        let known = row.filter(|row| row.get("answered"));
        known.as_ref().map(answer_of).transpose().map_err(unknown)
    }

    async fn news(&self, after: i64) -> Result<Vec<News>, ProcessorError> {
        let tx = self.db.processing().await.map_err(unknown)?;
        let rows =
            tx.all(include_str!("../store/sandbox_news.sql"), &[&after, &NEWS_MAX]).await.map_err(unknown)?;
        tx.rollback().await.map_err(unknown)?;
        rows.iter().map(|row| news_of(row).map_err(unknown)).collect()
    }
}

fn unknown(error: DbError) -> ProcessorError {
    ProcessorError::Unknown(error.to_string())
}

fn done(order: &Order, fee: Money) -> Answer {
    Answer::Done { fee, reference: reference(order.id) }
}

fn reference(order: Uuid) -> String {
    format!("sandbox:{order}")
}

fn failed(failure: Failure, detail: &str) -> Answer {
    Answer::Failed { failure, detail: detail.to_owned() }
}

/// Does the caller not hear of the first time?
fn loses(order: &Order) -> bool {
    let What::Charge { token, .. } = &order.what else { return false };
    matches!(Script::of(token), Script::AnswerLost | Script::RequestLost)
}

/// Earlier charges of this payer by this token.
async fn attempts(tx: &Transaction, order: &Order) -> Result<i64, DbError> {
    let (_, target, payer) = columns(order);
    let sql = "select count(*) from sandbox_order o where o.target = $1 and o.payer is not distinct from $2";
    Ok(tx.one(sql, &[&target, &payer]).await?.get(0))
}

/// Kind, target and payer.
fn columns(order: &Order) -> (&'static str, String, Option<Uuid>) {
    match &order.what {
        What::Charge { token, payer } => ("charge", token.clone(), Some(payer.0)),
        What::Refund { charge } => ("refund", charge.to_string(), None),
        What::PayOut { destination } => ("pay_out", destination.clone(), None),
    }
}

async fn insert(tx: &Transaction, order: &Order, answer: &Answer, answered: bool) -> Result<(), DbError> {
    let (kind, target, payer) = columns(order);
    let (outcome, detail, fee) = match answer {
        Answer::Done { fee, .. } => ("succeeded", "", fee.micros),
        Answer::Failed { failure: Failure::Passing, detail } => ("passing", detail.as_str(), 0),
        Answer::Failed { failure: Failure::Lasting, detail } => ("lasting", detail.as_str(), 0),
    };
    let (currency, amount) = (order.amount.currency.to_string(), order.amount.micros);
    tx.run(
        include_str!("../store/insert_sandbox_order.sql"),
        &[
            &order.id, &kind, &target, &payer, &currency, &amount, &answered, &outcome, &detail, &fee,
            &order.at,
        ],
    )
    .await?;
    Ok(())
}

/// The payer objects, and in the end it is decided.
async fn object(tx: &Transaction, order: &Order, won: bool) -> Result<(), DbError> {
    // One after the other, so that numbers become visible in their order and whoever asks after one misses none.
    tx.all("select pg_advisory_xact_lock(hashtextextended('sandbox news', 0))", &[]).await?;
    let sql = "insert into sandbox_news (order_id, what, fee_micros, created_at) values ($1, $2, $3, $4)";
    let fee = dispute_fee(order.amount.currency).micros;
    let ends = if won { "dispute_won" } else { "dispute_lost" };
    for (what, fee) in [("dispute_opened", fee), (ends, 0)] {
        tx.run(sql, &[&order.id, &what, &fee, &order.at]).await?;
    }
    Ok(())
}

/// About the same in every currency as it is written: 15.00, or 1,500 of what has no cents.
fn dispute_fee(currency: Currency) -> Money {
    let minor = if currency.minor_digits() == 3 { DISPUTE_MINOR * 10 } else { DISPUTE_MINOR };
    Money::micros(minor * MICROS_PER_MINOR, currency)
}

fn must_be_same(row: &Row, order: &Order) -> Result<(), ProcessorError> {
    let (kind, target, payer) = columns(order);
    let given = (kind, target, payer, order.amount.currency.to_string(), order.amount.micros);
    let kept: (&str, String, Option<Uuid>, String, i64) =
        (row.get("kind"), row.get("target"), row.get("payer"), row.get("currency"), row.get("amount_micros"));
    if given == kept { Ok(()) } else { Err(ProcessorError::Mismatch(order.id)) }
}

fn answer_of(row: &Row) -> Result<Answer, DbError> {
    let currency = currency_of(row)?;
    let detail: String = row.get("detail");
    match row.get("outcome") {
        "succeeded" => Ok(Answer::Done {
            fee: Money::micros(row.get("fee_micros"), currency),
            reference: reference(row.get("order_id")),
        }),
        "passing" => Ok(Answer::Failed { failure: Failure::Passing, detail }),
        "lasting" => Ok(Answer::Failed { failure: Failure::Lasting, detail }),
        other => Err(DbError::Stored(format!("an outcome {other}"))),
    }
}

fn news_of(row: &Row) -> Result<News, DbError> {
    let event = match row.get("what") {
        "dispute_opened" => {
            Event::DisputeOpened { fee: Money::micros(row.get("fee_micros"), currency_of(row)?) }
        }
        "dispute_won" => Event::DisputeWon,
        "dispute_lost" => Event::DisputeLost,
        other => return Err(DbError::Stored(format!("news of {other}"))),
    };
    Ok(News { number: row.get("number"), charge: row.get("order_id"), event })
}

fn currency_of(row: &Row) -> Result<Currency, DbError> {
    let code: &str = row.get("currency");
    code.parse().map_err(|error| DbError::Stored(format!("{error}")))
}
