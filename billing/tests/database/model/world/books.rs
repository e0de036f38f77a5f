//! What must be so whatever was done.

use super::World;
use crate::model::memory::{Account, Kind, Line, Part, PaymentState, Purpose, Settlement, Sum};
use billing::{
    audit,
    currency::Currency,
    db::Db,
    ledger::LedgerAccount,
    payment::{self, Payment, State},
    period::Month,
    statement::{self, LineKind, Statement, Status},
    store,
};
use proptest::{prelude::*, test_runner::TestCaseError};
use std::{collections::BTreeMap, iter};

impl World<'_> {
    /// The draft of the open month, and what stands where.
    pub(super) async fn look(&self) -> Result<bool, TestCaseError> {
        let tx = self.db.tenant(self.tenant()).await.expect("begins");
        let draft = store::draft(&tx, self.tenant(), None, self.now()).await.expect("drafts");
        tx.rollback().await.expect("ends");
        let month = self.memory.open_month();
        prop_assert_eq!(draft.period.start, month.start());
        let until = self.next().min(month.hours().end);
        prop_assert_eq!(sum_of(&draft), self.memory.sum(month, until).0);
        prop_assert_eq!(draft.status, Status::Draft);
        prop_assert_eq!(draft.tab.after.micros, self.memory.owed() + draft.payable.micros);
        self.compare_balances().await?;
        Ok(true)
    }

    /// The whole ledger: each account that anything stands on.
    async fn compare_balances(&self) -> Result<(), TestCaseError> {
        let (memory, payer) = (&self.memory, self.who.account);
        let own = [
            (LedgerAccount::Receivable(payer), memory.owed()),
            (LedgerAccount::Carried(payer), memory.carried()),
            (LedgerAccount::Wallet(payer), -memory.money.wallet),
            (LedgerAccount::Credits(payer), -memory.terms.credit()),
            (LedgerAccount::Promotions, memory.terms.promoted()),
        ];
        let shared = Account::ALL.map(|account| (self.ledger_account(account), memory.books.on(account)));
        let all = own.into_iter().chain(shared).filter(|(_, micros)| *micros != 0);
        let expected: BTreeMap<String, i64> =
            all.map(|(account, micros)| (account.to_string(), micros)).collect();
        prop_assert_eq!(expected.values().sum::<i64>(), 0);
        prop_assert_eq!(self.balances().await, expected);
        Ok(())
    }

    fn ledger_account(&self, account: Account) -> LedgerAccount {
        match account {
            Account::Operator => LedgerAccount::Revenue(self.operator),
            Account::Shop => LedgerAccount::Revenue(self.shop),
            Account::Payable => LedgerAccount::Payable(self.shop),
            Account::Country => LedgerAccount::Tax(*b"DE"),
            Account::Processor => LedgerAccount::Processor,
            Account::Fees => LedgerAccount::ProcessorFees,
            Account::Platform => LedgerAccount::PlatformShare,
            Account::WrittenOff => LedgerAccount::WrittenOff,
            Account::Nobody => LedgerAccount::Rounding,
        }
    }

    /// The ledger as it stands.
    async fn balances(&self) -> BTreeMap<String, i64> {
        let tx = self.db.tenant(self.tenant()).await.expect("begins");
        let sql = "select ledger_account, sum(amount_micros)::bigint from ledger_entry
                    group by ledger_account having sum(amount_micros) <> 0";
        let rows = tx.all(sql, &[]).await.expect("reads");
        tx.rollback().await.expect("ends");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Final statements, oldest first.
    pub(super) async fn finals(&self) -> Vec<Statement> {
        let tx = self.db.tenant(self.tenant()).await.expect("begins");
        let mut finals = Vec::new();
        for summary in store::statements(&tx, self.tenant(), None).await.expect("reads") {
            let statement = store::statement(&tx, self.tenant(), summary.statement_id).await;
            finals.push(statement.expect("reads").expect("is there"));
        }
        tx.rollback().await.expect("ends");
        finals.sort_by_key(|statement| statement.period.start);
        finals
    }

    /// What each final statement comes to, and each line that came to something, with what coupons leave of it.
    pub(super) async fn compare_finals(&self) -> Result<(), TestCaseError> {
        let found = self.finals().await;
        let expected: Vec<_> = self.memory.finals.iter().map(|it| (it.month.start(), it.sum)).collect();
        let sums: Vec<_> = found.iter().map(|it| (it.period.start, sum_of(it))).collect();
        prop_assert_eq!(sums, expected);
        for (found, expected) in found.iter().zip(&self.memory.finals) {
            let line = |it: &Line| (it.is_own, it.late, it.micros, it.left);
            let expected: Vec<_> = expected.lines.iter().map(line).collect();
            prop_assert_eq!(self.lines_of(found), expected);
        }
        Ok(())
    }

    fn lines_of(&self, statement: &Statement) -> Vec<(bool, Option<Month>, i128, i128)> {
        let (discounts, lines): (Vec<_>, Vec<_>) =
            statement.lines.iter().partition(|line| line.kind == LineKind::Discount);
        let off = |line: &statement::Line| -> i64 {
            let of_it = discounts.iter().filter(|it| it.discounts == Some(line.line_id));
            of_it.map(|it| it.amount.micros).sum()
        };
        let line = |line: &&statement::Line| {
            let left = line.amount.micros + off(line);
            (line.vendor_id == self.shop, line.for_month, line.amount.micros.into(), left.into())
        };
        lines.iter().filter(|line| !line.amount.is_zero()).map(line).collect()
    }

    /// Where each final statement stands, and that it came there along the arrows.
    pub(super) async fn compare_standings(&mut self) -> Result<(), TestCaseError> {
        if self.memory.finals.is_empty() {
            return Ok(());
        }
        let tx = self.db.tenant(self.tenant()).await.expect("begins");
        let (stands, owed) = store::how_statements_stand(&tx, self.who, Currency::USD).await.expect("stands");
        tx.rollback().await.expect("ends");
        prop_assert_eq!(owed.micros, self.memory.owed());
        let found: Vec<_> = stands.iter().map(|it| (it.status, it.open.micros)).collect();
        let expected: Vec<_> = self.memory.statuses().into_iter().zip(self.memory.open()).collect();
        prop_assert_eq!(found, expected);
        let stand: Vec<Status> = stands.iter().map(|it| it.status).collect();
        // Whatever happened since, a new one was final first.
        let before = self.stood.iter().copied().chain(iter::repeat(Status::Final));
        for (before, now) in before.zip(&stand) {
            prop_assert!(before == *now || before.may_become(*now), "{before:?} became {now:?}");
        }
        self.stood = stand;
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

    /// The processor has charged as often and as much as we know of.
    pub(super) async fn compare_orders(&self) -> Result<(), TestCaseError> {
        let tx = self.db.tenant(self.tenant()).await.expect("begins");
        tx.batch_execute("set local tuppence.scope = 'processor'").await.expect("another scope");
        let sql = "select count(*), coalesce(sum(o.amount_micros), 0)::bigint from sandbox_order o
                    where o.payer = $1 and o.outcome = 'succeeded'";
        let row = tx.one(sql, &[&self.who.account.0]).await.expect("reads");
        let paid = self.memory.money.payments.iter().filter(|it| it.state == PaymentState::Paid);
        let (count, sum) = paid.fold((0, 0), |(count, sum), it| (count + 1, sum + it.amount));
        prop_assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (count, sum));
        Ok(())
    }

    /// What lowered the tab, what it cost, which months it paid, and whose it is, to the micro.
    pub(super) async fn compare_settlements(&self) -> Result<(), TestCaseError> {
        let tx = self.db.tenant(self.tenant()).await.expect("begins");
        let sql = "select format('%s of %s for %s pays %s: %s', s.kind, s.amount_micros, s.fee_micros,
                          (select string_agg(format('%s %s', to_char(f.period_start at time zone 'UTC', 'YYYY-MM'), l.amount_micros),
                                             ', ' order by f.period_start)
                             from allocation l join statement f using (tenant_id, statement_id)
                            where l.settlement_id = s.settlement_id),
                          (select string_agg(format('%s %s = %s + %s + %s', p.ledger_account, p.gross_micros, p.platform_micros,
                                                    p.fee_micros, p.net_micros),
                                             ', ' order by p.ledger_account collate \"C\")
                             from settlement_part p where p.settlement_id = s.settlement_id))
                     from settlement s";
        let rows = tx.all(sql, &[]).await.expect("reads");
        tx.rollback().await.expect("ends");
        let mut found: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let mut expected: Vec<String> = self.memory.settlements.iter().map(|it| self.said(it)).collect();
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
        Ok(())
    }

    /// A settlement as the tables say it.
    fn said(&self, settlement: &Settlement) -> String {
        let Settlement { kind, amount, fee, laid, parts } = settlement;
        let kind = match kind {
            Kind::Collection => "collection",
            Kind::Wallet => "wallet",
            Kind::WriteOff => "write_off",
        };
        let laid: Vec<String> = laid.iter().map(|(month, micros)| format!("{month} {micros}")).collect();
        let part = |it: &Part| {
            let account = self.ledger_account(it.party.account());
            format!("{account} {} = {} + {} + {}", it.gross, it.platform, it.fee, it.net())
        };
        let mut parts: Vec<String> = parts.iter().map(part).collect();
        parts.sort();
        format!("{kind} of {amount} for {fee} pays {}: {}", laid.join(", "), parts.join(", "))
    }

    /// What the vendor was sent. What never arrived came back.
    pub(super) async fn compare_payouts(&self) -> Result<(), TestCaseError> {
        let tx = self.db.tenant(self.tenant()).await.expect("begins");
        let payouts = store::payouts(&tx, self.tenant(), self.shop, 200).await.expect("reads");
        tx.rollback().await.expect("ends");
        let arrived = payouts.iter().rev().filter(|it| it.state == State::Succeeded);
        let found: Vec<i64> = arrived.map(|it| it.amount.micros).collect();
        prop_assert_eq!(&found, &self.memory.payouts);
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
