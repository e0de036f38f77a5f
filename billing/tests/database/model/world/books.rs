//! What must be so whatever was done.

use super::World;
use crate::model::memory::{PaymentState, Purpose, Sum};
use billing::{
    audit,
    currency::Currency,
    db::Db,
    ledger::LedgerAccount,
    payment::{self, Payment, State},
    statement::Statement,
    store,
};
use proptest::{prelude::*, test_runner::TestCaseError};
use std::collections::BTreeMap;

impl World<'_> {
    /// The draft of the open month, and what stands where.
    pub(super) async fn look(&self) -> Result<(), TestCaseError> {
        let tx = self.db.tenant(self.tenant()).await.expect("begins");
        let draft = store::draft(&tx, self.tenant(), self.now()).await.expect("drafts");
        tx.rollback().await.expect("ends");
        let month = self.memory.open();
        prop_assert_eq!(draft.period.start, month.start());
        let until = self.next().min(month.hours().end);
        prop_assert_eq!(sum_of(&draft), self.memory.sum(month, until).0);
        prop_assert_eq!(draft.tab.after.micros, self.memory.owed() + draft.payable.micros);
        self.compare_balances().await
    }

    /// Each account of the ledger that the model knows, and all of them together.
    async fn compare_balances(&self) -> Result<(), TestCaseError> {
        let found = self.balances().await;
        let (memory, account) = (&self.memory, self.who.account);
        for (account, expected) in [
            (LedgerAccount::Receivable(account), memory.owed()),
            (LedgerAccount::Carried(account), memory.carried()),
            (LedgerAccount::Wallet(account), -memory.money.wallet),
            (LedgerAccount::Credits(account), -memory.terms.credit()),
            (LedgerAccount::Promotions, memory.terms.promoted()),
            (LedgerAccount::Processor, memory.money.processor),
            (LedgerAccount::WrittenOff, memory.money.written_off),
        ] {
            let found = found.get(&account.to_string()).copied().unwrap_or(0);
            prop_assert_eq!(found, expected, "{}", account);
        }
        prop_assert_eq!(found.values().sum::<i64>(), 0);
        prop_assert_eq!(self.taxed().await, -memory.tax());
        Ok(())
    }

    /// What statements and credit notes say that countries are owed. Refunds and disputes take their part of it back.
    async fn taxed(&self) -> i64 {
        let tx = self.db.tenant(self.tenant()).await.expect("begins");
        let sql = "select coalesce(sum(e.amount_micros), 0)::bigint
                     from ledger_entry e join ledger_transaction t using (tenant_id, transaction_id)
                    where e.ledger_account = 'tax:DE' and t.kind in ('statement', 'credit_note')";
        let taxed = tx.one(sql, &[]).await.expect("reads").get(0);
        tx.rollback().await.expect("ends");
        taxed
    }

    /// The ledger as it stands.
    pub(super) async fn balances(&self) -> BTreeMap<String, i64> {
        let tx = self.db.tenant(self.tenant()).await.expect("begins");
        let sql =
            "select ledger_account, sum(amount_micros)::bigint from ledger_entry group by ledger_account";
        let rows = tx.all(sql, &[]).await.expect("reads");
        tx.rollback().await.expect("ends");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Final statements, oldest first.
    pub(super) async fn finals(&self) -> Vec<Statement> {
        let tx = self.db.tenant(self.tenant()).await.expect("begins");
        let mut finals = Vec::new();
        for summary in store::statements(&tx, self.tenant()).await.expect("reads") {
            let statement = store::statement(&tx, self.tenant(), summary.statement_id).await;
            finals.push(statement.expect("reads").expect("is there"));
        }
        tx.rollback().await.expect("ends");
        finals.sort_by_key(|statement| statement.period.start);
        finals
    }

    pub(super) async fn compare_finals(&self) -> Result<(), TestCaseError> {
        let found: Vec<_> = self.finals().await.iter().map(|it| (it.period.start, sum_of(it))).collect();
        let expected: Vec<_> = self.memory.finals.iter().map(|it| (it.month.start(), it.sum)).collect();
        prop_assert_eq!(found, expected);
        Ok(())
    }

    /// Payments, oldest first.
    pub(super) async fn payments(&self) -> Vec<Payment> {
        let tx = self.db.tenant(self.tenant()).await.expect("begins");
        let mut payments = store::payments(&tx, self.tenant(), None, None, 200).await.expect("reads");
        tx.rollback().await.expect("ends");
        payments.reverse();
        payments
    }

    /// Each payment was made once, for so much and with that outcome, and what came in was handed on whole.
    pub(super) async fn compare_payments(&self) -> Result<(), TestCaseError> {
        let state = |state| match state {
            State::Attempted => "under way",
            State::Succeeded => "paid",
            State::Failed => "failed",
        };
        let purpose = |purpose| match purpose {
            payment::Purpose::Collection => Purpose::Collection,
            payment::Purpose::TopUp => Purpose::TopUp,
            payment::Purpose::Refill => Purpose::Refill,
        };
        let remembered = |state| match state {
            PaymentState::Attempted => "under way",
            PaymentState::Paid => "paid",
            PaymentState::Failed { .. } => "failed",
        };
        let of = |it: &Payment| (purpose(it.purpose), it.amount.micros, state(it.state));
        let found: Vec<_> = self.payments().await.iter().map(of).collect();
        let expected = self.memory.money.payments.iter();
        let expected: Vec<_> = expected.map(|it| (it.purpose, it.amount, remembered(it.state))).collect();
        prop_assert_eq!(found, expected);
        Ok(())
    }

    /// The processor has charged as often and as much as we know of, and each settlement falls to somebody, to the micro.
    pub(super) async fn compare_orders(&self) -> Result<(), TestCaseError> {
        let tx = self.db.tenant(self.tenant()).await.expect("begins");
        let (stands, owed) = store::how_statements_stand(&tx, self.who, Currency::USD).await.expect("stands");
        let open: i64 = stands.iter().map(|it| it.open.micros).sum();
        prop_assert_eq!((open, owed.micros), (self.memory.owed().max(0), self.memory.owed()));
        let sql = "select count(*) from settlement s
                    where s.kind <> 'write_off'
                      and not exists (
                        select from settlement_part p where p.settlement_id = s.settlement_id
                        having sum(p.gross_micros) = s.amount_micros and sum(p.fee_micros) = s.fee_micros
                           and sum(p.gross_micros - p.platform_micros - p.fee_micros - p.net_micros) = 0
                      )";
        let torn: i64 = tx.one(sql, &[]).await.expect("reads").get(0);
        prop_assert_eq!(torn, 0);
        let draws: i64 =
            tx.one("select count(*) from settlement where kind = 'wallet'", &[]).await.expect("reads").get(0);
        prop_assert_eq!(usize::try_from(draws).expect("few"), self.memory.money.draws);
        tx.batch_execute("set local tuppence.scope = 'processor'").await.expect("another scope");
        let sql = "select count(*), coalesce(sum(o.amount_micros), 0)::bigint from sandbox_order o
                    where o.payer = $1 and o.outcome = 'succeeded'";
        let row = tx.one(sql, &[&self.who.account.0]).await.expect("reads");
        let paid = self.memory.money.payments.iter().filter(|it| it.state == PaymentState::Paid);
        let (count, sum) = paid.fold((0, 0), |(count, sum), it| (count + 1, sum + it.amount));
        prop_assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (count, sum));
        Ok(())
    }

    pub(super) async fn audit(&self) -> Result<(), TestCaseError> {
        let evidence = store::evidence(self.db, &[self.tenant()], self.now()).await.expect("reads");
        let differences = audit::examine(evidence.first().expect("an account"));
        prop_assert!(differences.is_empty(), "{differences:?}");
        Ok(())
    }
}

fn sum_of(statement: &Statement) -> Sum {
    Sum {
        subtotal: statement.subtotal.micros,
        carried_in: statement.carried_in.micros,
        without_tax: statement.total_without_tax.micros,
        tax: statement.tax.micros,
        payable: statement.payable.micros,
        carried_out: statement.carried_out.micros,
    }
}

/// Every number of the series is on a statement.
pub(in crate::model) async fn no_number_is_missing(db: &Db) {
    let service = db.service().await.expect("begins");
    let series = store::number_series(&service).await.expect("reads");
    service.rollback().await.expect("ends");
    let closing = db.closing().await.expect("begins");
    let counted =
        "select count(*), coalesce(max(series_number), 0) from statement where legal_entity = 'operator'";
    let row = closing.one(counted, &[]).await.expect("counts");
    let (count, last): (i64, i64) = (row.get(0), row.get(1));
    let given = series.iter().find(|it| it.entity == "operator").map_or(0, |it| it.last);
    assert_eq!((count, last), (given, given));
}
