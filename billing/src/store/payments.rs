//! Payments: begun, ended once, and listed.

use super::row::{money, new_id, stored};
use crate::{
    collection::dunning::Failure,
    currency::Currency,
    db::{DbError, Transaction},
    ids::{AccountId, PaymentId, PaymentMethodId, TenantId},
    money::Money,
    payment::{Payment, Purpose, State},
    processor::{Answer, Order, What},
    store::Who,
};
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

/// A payment to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPayment {
    /// What for.
    pub purpose: Purpose,
    /// By what.
    pub method: PaymentMethodId,
    /// How much.
    pub amount: Money,
    /// Why now.
    pub why: String,
}

/// Writes down that a payer is about to be charged. Nobody is asked before this is committed.
pub async fn begin_payment(
    tx: &Transaction,
    who: Who,
    new: NewPayment,
    now: Timestamp,
    at: Timestamp,
) -> Result<Payment, DbError> {
    let NewPayment { purpose, method, amount, why } = new;
    let payment_id = PaymentId(new_id(now));
    tx.run(
        include_str!("insert_payment.sql"),
        &[
            &who.tenant.0,
            &who.account.0,
            &payment_id.0,
            &purpose.as_str(),
            &method.0,
            &amount.currency.code(),
            &amount.micros,
            &why,
            &at,
        ],
    )
    .await?;
    Ok(Payment {
        payment_id,
        account_id: who.account,
        purpose,
        payment_method_id: method,
        amount,
        why,
        state: State::Attempted,
        detail: None,
        fee: None,
        attempted_at: at,
        ended_at: None,
    })
}

/// Writes down what came of a payment. False: somebody else has.
pub(super) async fn end_payment(
    tx: &Transaction,
    tenant: TenantId,
    payment: PaymentId,
    answer: &Answer,
    at: Timestamp,
) -> Result<bool, DbError> {
    let (state, failure, detail, reference, fee) = match answer {
        Answer::Done { fee, reference } => {
            (State::Succeeded, None, None, Some(reference.as_str()), Some(fee.micros))
        }
        Answer::Failed { failure, detail } => {
            let failure = match failure {
                Failure::Passing => "passing",
                Failure::Lasting => "lasting",
            };
            (State::Failed, Some(failure), Some(detail.as_str()), None, None)
        }
    };
    let sql = include_str!("end_payment.sql");
    let ended = tx
        .run(sql, &[&tenant.0, &payment.0, &state.as_str(), &failure, &detail, &reference, &fee, &at])
        .await?;
    Ok(ended == 1)
}

/// A payment whose outcome is not known, with its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPayment {
    /// Its place in the order of their making.
    pub number: i64,
    /// Who pays.
    pub who: Who,
    /// What for.
    pub purpose: Purpose,
    /// What the processor is to do, or has done.
    pub order: Order,
}

/// Payments whose outcome is not known, oldest first, whoever's they are.
pub async fn open_payments(
    collecting: &Transaction,
    after: i64,
    limit: i64,
) -> Result<Vec<OpenPayment>, DbError> {
    let rows = collecting.all(include_str!("open_payments.sql"), &[&after, &limit]).await?;
    let read = |row: &Row| {
        let who = Who { tenant: TenantId(row.get("tenant_id")), account: AccountId(row.get("account_id")) };
        Ok(OpenPayment {
            number: row.get("number"),
            who,
            purpose: row.get::<_, &str>("purpose").parse().map_err(stored)?,
            order: Order {
                id: row.get("payment_id"),
                what: What::Charge { token: row.get("token"), payer: who.account },
                amount: money(row, "amount_micros")?,
                tenant: who.tenant,
                at: row.get("attempted_at"),
            },
        })
    };
    rows.iter().map(read).collect()
}

/// Payments of a tenant before a cursor, newest first.
pub async fn payments(
    tx: &Transaction,
    tenant: TenantId,
    account: Option<AccountId>,
    cursor: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Payment>, DbError> {
    let account = account.map(|account| account.0);
    let sql = include_str!("payments.sql");
    let rows = tx.all(sql, &[&tenant.0, &account, &None::<Uuid>, &cursor, &limit]).await?;
    rows.iter().map(read).collect()
}

/// One payment.
pub async fn payment(
    tx: &Transaction,
    tenant: TenantId,
    payment: PaymentId,
) -> Result<Option<Payment>, DbError> {
    let sql = include_str!("payments.sql");
    let row = tx.optional(sql, &[&tenant.0, &None::<Uuid>, &Some(payment.0), &None::<Uuid>, &1_i64]).await?;
    row.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<Payment, DbError> {
    let amount = money(row, "amount_micros")?;
    let fee: Option<i64> = row.get("fee_micros");
    let currency: Currency = amount.currency;
    Ok(Payment {
        payment_id: PaymentId(row.get("payment_id")),
        account_id: AccountId(row.get("account_id")),
        purpose: row.get::<_, &str>("purpose").parse().map_err(stored)?,
        payment_method_id: PaymentMethodId(row.get("payment_method_id")),
        amount,
        why: row.get("why"),
        state: row.get::<_, &str>("state").parse().map_err(stored)?,
        detail: row.get("detail"),
        fee: fee.map(|micros| Money::micros(micros, currency)),
        attempted_at: row.get("attempted_at"),
        ended_at: row.get("ended_at"),
    })
}
