//! What is used, and what may be.

use super::{World, agree, cut, subscriptions};
use crate::model::{
    commands::Usage,
    memory::{Event, PEAK_MICROS, SUM_MICROS, SUM_UNIT},
};
use billing::{
    TenantId,
    cap::Cap,
    db::Transaction,
    event::{self, EventRefused},
    ids::VendorId,
    meter::NewMeter,
    period::Hour,
    store::{self, StoreError},
    usage::{Fact, FactKey, Meter},
};
use jiff::{SignedDuration, Timestamp};
use proptest::test_runner::TestCaseError;
use serde_json::{Value, json};

/// A price on the sum of the business's own events and one on the greatest of them.
pub(super) async fn price_events(tx: &Transaction, shop: (TenantId, VendorId), now: Timestamp) {
    let (tenant, _) = shop;
    for aggregation in ["sum", "maximum"] {
        let meter: NewMeter = serde_json::from_value(json!({
            "name": aggregation, "unit": "thing", "event_type": "seen", "aggregation": aggregation,
            "value_property": "value",
        }))
        .expect("a meter");
        store::insert_meter(tx, tenant, meter, now).await.expect("writes").expect("makes sense");
    }
    let price = |meter: &str, unit_size: i64, amount_micros: i64| {
        json!({ "description": meter, "model": "per_unit", "meter": meter, "unit": "thing", "unit_size": unit_size,
                "amount_micros": amount_micros })
    };
    let prices = json!([price("sum", SUM_UNIT, SUM_MICROS), price("maximum", 1, PEAK_MICROS)]);
    let plan = subscriptions::plan(tx, shop, prices, now).await;
    subscriptions::start(tx, tenant, plan, None, now).await.expect("possible");
}

impl World<'_> {
    pub(super) async fn use_up(&mut self, command: Usage, cuts: &[usize]) -> Result<bool, TestCaseError> {
        match command {
            Usage::Counter { leg, is_egress, hours_ago, quantity } => {
                self.count(leg, is_egress, self.ago(hours_ago), quantity, cuts).await;
            }
            Usage::Event { hours_ago, value } => {
                let sent = self.event(self.ago(hours_ago), Some(value), None);
                let event = Event { hour: self.ago(hours_ago), value: Some(value), is_corrected: false };
                return self.report(command, sent, (event, None), cuts).await;
            }
            Usage::Again { which, differs } if !self.events.is_empty() => {
                return self.repeat(command, which % self.events.len(), differs, cuts).await;
            }
            Usage::Correct { which, hours_ago, value } if !self.events.is_empty() => {
                let which = which % self.events.len();
                let sent = self.event(self.ago(hours_ago), value, Some(which));
                let event = Event { hour: self.ago(hours_ago), value, is_corrected: false };
                return self.report(command, sent, (event, Some(which)), cuts).await;
            }
            Usage::Again { .. } | Usage::Correct { .. } => return Ok(false),
            Usage::Cap { cents } => self.cap(cents, cuts).await,
        }
        Ok(true)
    }

    async fn count(&mut self, leg: usize, is_egress: bool, hour: Hour, quantity: u64, cuts: &[usize]) {
        let meter = if is_egress { Meter::EgressBytes } else { Meter::ParticipantMs };
        let fact = Fact { key: FactKey { leg: self.legs[leg], meter, hour }, quantity };
        let facts = [(self.tenant(), fact)];
        for waits in cuts {
            cut(store::record_batch(self.db, &facts, self.now()), *waits).await;
        }
        let recorded = store::record_batch(self.db, &facts, self.now()).await.expect("records");
        assert_eq!(recorded.refused, 0);
        self.memory.used.count(leg, is_egress, hour, quantity);
    }

    /// An event under a name of its own.
    fn event(&self, hour: Hour, value: Option<u64>, corrects: Option<usize>) -> Value {
        self.requests.set(self.requests.get() + 1);
        let mut event = json!({
            "specversion": "1.0", "id": self.requests.get().to_string(), "source": "model", "type": "seen",
            "time": (hour.start() + SignedDuration::from_mins(15)).to_string(),
        });
        if let Some(value) = value {
            event["data"] = json!({ "value": value });
        }
        if let Some(which) = corrects {
            event["corrects"] = self.events[which]["id"].clone();
        }
        event
    }

    /// Reports an event that is new to both.
    async fn report(
        &mut self,
        command: Usage,
        sent: Value,
        (event, corrects): (Event, Option<usize>),
        cuts: &[usize],
    ) -> Result<bool, TestCaseError> {
        let is_free = corrects.is_none_or(|which| !self.memory.used.events[which].is_corrected);
        let done = self.send(&sent, cuts).await;
        let taken = is_free && self.memory.used.take(event, corrects);
        if taken {
            self.events.push(sent);
        }
        agree(command, taken, &done)
    }

    /// Reports an event once more.
    async fn repeat(
        &mut self,
        command: Usage,
        which: usize,
        differs: bool,
        cuts: &[usize],
    ) -> Result<bool, TestCaseError> {
        let mut sent = self.events[which].clone();
        if differs {
            sent["data"] =
                json!({ "value": self.memory.used.events[which].value.map_or(1, |value| value + 1) });
        }
        let done = self.send(&sent, cuts).await;
        let mut earliest = self.memory.now.month();
        (0..12).for_each(|_| earliest = earliest.before());
        let is_recent = self.memory.used.events[which].hour >= earliest.hours().start;
        agree(command, is_recent && !differs, &done)
    }

    async fn send(&self, event: &Value, cuts: &[usize]) -> Result<(), EventRefused> {
        for waits in cuts {
            cut(self.send_once(event), *waits).await;
        }
        self.send_once(event).await.expect("nothing fails")
    }

    async fn send_once(&self, event: &Value) -> Result<Result<(), EventRefused>, StoreError> {
        let events = vec![event::read(event.to_string().as_bytes())];
        let mut answers = store::record_events(self.db, self.tenant(), None, events, self.now()).await?;
        Ok(answers.pop().expect("an answer"))
    }

    async fn cap(&mut self, cents: Option<i64>, cuts: &[usize]) {
        let limit = cents.map(|cents| cents * crate::model::memory::CENT);
        let set = async |tx: &Transaction| {
            let Some(limit) = limit else { return self.end_caps(tx).await };
            store::set_cap(tx, self.tenant(), None, limit, self.now()).await.map(drop)
        };
        self.once(cuts, set).await.expect("nothing fails");
        self.memory.used.cap = limit;
    }

    async fn end_caps(&self, tx: &Transaction) -> Result<(), StoreError> {
        for (Cap { cap_id, .. }, _) in store::caps(tx, self.tenant(), self.now()).await? {
            store::end_cap(tx, self.tenant(), cap_id, self.now()).await?;
        }
        Ok(())
    }
}
