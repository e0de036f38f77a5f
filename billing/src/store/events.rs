//! Events on their way in: a batch is one transaction, whole columns at a time.

use super::{
    StoreError,
    caps::{in_force, spending, warn},
    clock::tenant_clock,
    finalise::lock,
    freeze::column,
    row::stored,
};
use crate::{
    cap::Cap,
    db::{Db, DbError, Transaction},
    event::{self, Door, Event, EventRefused, Reading, Reported, merge},
    ids::{AccountId, TenantId},
    meter::{Aggregation, OwnMeter},
    money::Money,
    period::Month,
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Row;
use uuid::Uuid;

/// What became of an event.
type Recorded = Result<(), EventRefused>;

/// An event of a batch, by its place.
type Placed = (usize, Event);

/// Records events of a tenant, and answers for each of them in their order. What is taken is committed when this returns,
/// what is refused has changed nothing. All of it may be sent again.
pub async fn record_events(
    db: &Db,
    tenant: TenantId,
    key: Option<Uuid>,
    reported: Vec<Result<Reported, EventRefused>>,
    now: Timestamp,
) -> Result<Vec<Recorded>, StoreError> {
    let (tx, caps) = begin(db, tenant, key).await?;
    let meters = super::meters(&tx, tenant).await?;
    let mut batch = admitted(&tx, tenant, &meters, reported, now).await?;
    let others = batch.set_aside();
    let recorder = Recorder { tx: &tx, tenant, key, meters: &meters, caps: &caps, now };
    let (corrections, plain) = batch.events.into_iter().partition(|(_, it)| it.reported.corrects.is_some());
    recorder.record_within_caps(plain, &mut batch.answers).await?;
    recorder.correct(corrections, &mut batch.answers).await?;
    recorder.answer_others(others, &mut batch.answers).await?;
    if !caps.is_empty() {
        warn(&tx, tenant, now).await?;
    }
    tx.commit().await?;
    Ok(batch.answers)
}

/// Begins, with the caps that bind what the key reports. Nothing becomes final and no meter is made until the end. Events of a
/// tenant come in side by side, but one after the other where a cap counts what the others have spent.
async fn begin(db: &Db, tenant: TenantId, key: Option<Uuid>) -> Result<(Transaction, Vec<Cap>), StoreError> {
    let mut is_alone = false;
    loop {
        let tx = db.tenant(tenant).await?;
        if is_alone {
            lock(&tx, tenant).await?;
        } else {
            tx.all(include_str!("lock_tenant_shared.sql"), &[&tenant.0.to_string()]).await?;
        }
        let mut caps = in_force(&tx, tenant).await?;
        caps.retain(|cap| cap.key_id.is_none() || cap.key_id == key);
        if is_alone || caps.is_empty() {
            return Ok((tx, caps));
        }
        tx.rollback().await?;
        is_alone = true;
    }
}

/// A batch on its way.
struct Batch {
    /// One for each event that was reported.
    answers: Vec<Recorded>,
    /// Those that are still to be recorded, by source and id; none is there twice.
    events: Vec<Placed>,
}

impl Batch {
    /// Sorts the events. Of those with one name the first stays; others are set aside, with its place, until it is known what
    /// became of it.
    fn set_aside(&mut self) -> Vec<(usize, Placed)> {
        self.events.sort_by(|(_, one), (_, other)| key(one).cmp(&key(other)));
        let mut others = Vec::new();
        self.events.dedup_by(|later, (place, first)| {
            let is_repeated = key(&later.1) == key(first);
            if is_repeated {
                others.push((*place, later.clone()));
            }
            is_repeated
        });
        others
    }
}

fn key(event: &Event) -> (&str, &str) {
    (&event.reported.source, &event.reported.id)
}

/// Looks at each event by itself.
async fn admitted(
    tx: &Transaction,
    tenant: TenantId,
    meters: &[OwnMeter],
    reported: Vec<Result<Reported, EventRefused>>,
    now: Timestamp,
) -> Result<Batch, StoreError> {
    let named: BTreeSet<Uuid> = reported.iter().flatten().filter_map(|it| Some(it.account?.0)).collect();
    let named: Vec<Uuid> = named.into_iter().collect();
    let mut own = None;
    let mut accounts = BTreeSet::new();
    for row in tx.all(include_str!("known_accounts.sql"), &[&tenant.0, &named]).await? {
        let account = AccountId(row.get("account_id"));
        own = row.get::<_, bool>("is_tenant").then_some(account).or(own);
        accounts.insert(account);
    }
    let own = own.ok_or(StoreError::NoAccount)?;
    let now = tenant_clock(tx, tenant, now).await?.now;
    let door = Door { own, accounts: &accounts, meters, now };
    let mut batch = Batch { answers: Vec::with_capacity(reported.len()), events: Vec::new() };
    for (place, reported) in reported.into_iter().enumerate() {
        let admitted = reported.and_then(|reported| door.admit(reported));
        batch.answers.push(admitted.map(|event| batch.events.push((place, event))));
    }
    Ok(batch)
}

/// Events that were recorded, by source and id.
type Known = BTreeMap<(String, String), Row>;

/// What is spent of caps in some months.
struct Spent {
    months: BTreeSet<Month>,
    /// Of each cap in each month.
    of_each: Vec<(Cap, Money)>,
}

/// Writes in one transaction.
struct Recorder<'a> {
    tx: &'a Transaction,
    tenant: TenantId,
    key: Option<Uuid>,
    meters: &'a [OwnMeter],
    caps: &'a [Cap],
    now: Timestamp,
}

impl Recorder<'_> {
    /// Records events, and takes back what was read of those that they correct.
    async fn record(
        &self,
        events: Vec<Placed>,
        corrected: &Known,
        answers: &mut [Recorded],
    ) -> Result<(), StoreError> {
        let mut new = self.insert(events, answers).await?;
        let written = merge(new.iter_mut().flat_map(|(_, event)| std::mem::take(&mut event.readings)));
        self.insert_readings(&written, self.key).await?;
        let mut touched = written;
        for (_, event) in &new {
            let Some(row) = corrects(&event.reported).and_then(|name| corrected.get(&name)) else { continue };
            touched.extend(self.take_back(row, &event.reported.name()).await?);
        }
        self.mark_late_months(&touched).await
    }

    /// Takes back what was read of an event that another one corrects: from the key that reported it.
    async fn take_back(&self, row: &Row, by: &str) -> Result<Vec<Reading>, StoreError> {
        let all = stored_readings(self.meters, row)?;
        let (sums, others): (Vec<Reading>, Vec<Reading>) =
            all.into_iter().partition(|reading| reading.aggregation == Aggregation::Sum);
        let back = |sum: Reading| Reading { quantity: -sum.quantity, event: Some(by.to_owned()), ..sum };
        let sums: Vec<Reading> = sums.into_iter().map(back).collect();
        self.insert_readings(&sums, row.get("key_id")).await?;
        self.remove_readings(&others).await?;
        Ok([sums, others].concat())
    }

    /// Records as many of some events as the caps allow, in their order. What is there already and what costs nothing more is
    /// always taken.
    async fn record_within_caps(
        &self,
        events: Vec<Placed>,
        answers: &mut [Recorded],
    ) -> Result<(), StoreError> {
        if self.caps.is_empty() {
            return self.record(events, &Known::new(), answers).await;
        }
        let months: BTreeSet<Month> = events.iter().map(|(_, it)| Month::of(it.reported.at)).collect();
        let mut new = self.leave_out_recorded(events, answers).await?;
        new.sort_by_key(|(place, _)| *place);
        let mut waiting = vec![new];
        let mut used_up = None;
        let mut spent = self.spending(months).await?;
        while let Some(mut piece) = waiting.pop() {
            if let Some(cap) = used_up {
                let rest = piece.extract_if(.., |(_, event)| !event.readings.is_empty());
                rest.for_each(|(place, _)| answers[place] = Err(cap_reached(cap)));
            }
            let Some(cap) = self.try_piece(&piece, &Known::new(), &mut spent, answers).await? else {
                continue;
            };
            if let [(place, _)] = &piece[..] {
                answers[*place] = Err(cap_reached(cap));
                used_up = Some(cap);
            } else {
                let second = piece.split_off(piece.len() / 2);
                waiting.extend([second, piece]);
            }
        }
        Ok(())
    }

    /// Records corrections as far as the caps allow, in their order and each by itself: one that takes something back makes room
    /// for those after it, and behind a savepoint it could not be told which of many were recorded.
    async fn correct_within_caps(
        &self,
        corrections: Vec<Placed>,
        corrected: &Known,
        answers: &mut [Recorded],
    ) -> Result<(), StoreError> {
        if self.caps.is_empty() {
            return self.record(corrections, corrected, answers).await;
        }
        let taken_back = corrected.values().map(|row| row.get("occurred_at"));
        let reported = corrections.iter().map(|(_, it)| it.reported.at);
        let months = reported.chain(taken_back).map(Month::of).collect();
        let mut new = self.leave_out_recorded(corrections, answers).await?;
        new.sort_by_key(|(place, _)| *place);
        let mut spent = self.spending(months).await?;
        for correction in new {
            let place = correction.0;
            if let Some(cap) = self.try_piece(&[correction], corrected, &mut spent, answers).await? {
                answers[place] = Err(cap_reached(cap));
            }
        }
        Ok(())
    }

    /// Records a piece of a batch, unless it costs more than a cap allows: then nothing of it is recorded, and the answer is
    /// which.
    async fn try_piece(
        &self,
        piece: &[Placed],
        corrected: &Known,
        spent: &mut Spent,
        answers: &mut [Recorded],
    ) -> Result<Option<Cap>, StoreError> {
        self.tx.batch_execute("savepoint piece").await.map_err(DbError::from)?;
        let mut sorted = piece.to_vec();
        sorted.sort_by(|(_, one), (_, other)| key(one).cmp(&key(other)));
        self.record(sorted, corrected, answers).await?;
        let after = self.spending(spent.months.clone()).await?;
        let cap = exceeded(&spent.of_each, &after.of_each);
        let end = match cap {
            Some(_) => "rollback to savepoint piece; release savepoint piece",
            None => "release savepoint piece",
        };
        self.tx.batch_execute(end).await.map_err(DbError::from)?;
        if cap.is_none() {
            *spent = after;
        }
        Ok(cap)
    }

    /// Answers for events whose names are known, and tells which are not. Nobody else reports meanwhile, so these will be new:
    /// behind a savepoint it could not be told afterwards.
    async fn leave_out_recorded(
        &self,
        events: Vec<Placed>,
        answers: &mut [Recorded],
    ) -> Result<Vec<Placed>, DbError> {
        let recorded = self.recorded(&events).await?;
        let mut new = Vec::new();
        for (event, row) in events.into_iter().zip(&recorded) {
            match (row.get("is_there"), row.get("is_same")) {
                (false, _) => new.push(event),
                (true, true) => {}
                (true, false) => answers[event.0] = Err(EventRefused::KeyReused),
            }
        }
        Ok(new)
    }

    /// What is spent of each cap in each month.
    async fn spending(&self, months: BTreeSet<Month>) -> Result<Spent, StoreError> {
        let mut of_each = Vec::new();
        for month in &months {
            let spending = spending(self.tx, self.tenant, self.caps, *month).await?;
            of_each.extend(spending.into_iter().map(|(cap, spent)| (*cap, spent)));
        }
        Ok(Spent { months, of_each })
    }

    /// Records corrections after what they correct, which may be corrections of the same batch.
    async fn correct(&self, mut waiting: Vec<Placed>, answers: &mut [Recorded]) -> Result<(), StoreError> {
        while !waiting.is_empty() {
            let known = self.find(&waiting).await?;
            let is_known =
                |(_, event): &Placed| corrects(&event.reported).is_some_and(|name| known.contains_key(&name));
            let (ready, rest): (Vec<Placed>, Vec<Placed>) = waiting.into_iter().partition(is_known);
            if ready.is_empty() {
                rest.iter()
                    .for_each(|(place, event)| answers[*place] = Err(corrects_nothing(&event.reported)));
                return Ok(());
            }
            self.correct_within_caps(ready, &known, answers).await?;
            waiting = rest;
        }
        Ok(())
    }

    /// What events correct, as far as it is recorded.
    async fn find(&self, corrections: &[Placed]) -> Result<Known, DbError> {
        let names: Vec<_> = corrections.iter().filter_map(|(_, event)| corrects(&event.reported)).collect();
        let (sources, ids): (Vec<String>, Vec<String>) = names.into_iter().unzip();
        let rows = self.tx.all(include_str!("find_events.sql"), &[&self.tenant.0, &sources, &ids]).await?;
        Ok(rows.into_iter().map(|row| ((row.get("source"), row.get("id")), row)).collect())
    }

    /// Inserts what is new, and tells what that is.
    async fn insert(&self, events: Vec<Placed>, answers: &mut [Recorded]) -> Result<Vec<Placed>, StoreError> {
        if events.is_empty() {
            return Ok(events);
        }
        let known = self.meters.iter().map(|meter| meter.number).max().unwrap_or(0);
        let Columns { sources, ids, accounts, types, times, data, corrects } = Columns::of(&events);
        let inserted = self
            .tx
            .run(
                include_str!("insert_events.sql"),
                &[
                    &self.tenant.0,
                    &known,
                    &self.now,
                    &sources,
                    &ids,
                    &accounts,
                    &types,
                    &times,
                    &data,
                    &corrects,
                    &self.key,
                ],
            )
            .await?;
        if usize::try_from(inserted).is_ok_and(|inserted| inserted == events.len()) {
            return Ok(events);
        }
        let is_new = self.compare(&events, answers).await?;
        Ok(events.into_iter().zip(is_new).filter_map(|(event, is_new)| is_new.then_some(event)).collect())
    }

    /// Answers for events by what is recorded under their names, and tells which of them this transaction has recorded.
    async fn compare(&self, events: &[Placed], answers: &mut [Recorded]) -> Result<Vec<bool>, DbError> {
        let rows = self.recorded(events).await?;
        for ((place, event), row) in events.iter().zip(&rows) {
            answers[*place] = match (row.get("is_there"), row.get("is_same")) {
                (true, true) => Ok(()),
                (true, false) => Err(EventRefused::KeyReused),
                (false, _) => Err(not_to_correct(&event.reported)),
            };
        }
        Ok(rows.iter().map(|row| row.get("is_new")).collect())
    }

    /// Answers for events that came after one of the same name: as for that one, or by comparing.
    async fn answer_others(
        &self,
        others: Vec<(usize, Placed)>,
        answers: &mut [Recorded],
    ) -> Result<(), DbError> {
        // If the first was not what is recorded, the other one may be.
        let is_there = |answer: &Recorded| matches!(answer, Ok(()) | Err(EventRefused::KeyReused));
        let is_refused = |(first, _): &(usize, Placed)| !is_there(&answers[*first]);
        let (refused, others): (Vec<_>, Vec<_>) = others.into_iter().partition(is_refused);
        for (first, (place, _)) in refused {
            answers[place] = answers[first].clone();
        }
        let others: Vec<Placed> = others.into_iter().map(|(_, other)| other).collect();
        self.compare(&others, answers).await.map(drop)
    }

    /// What is recorded under the names of events.
    async fn recorded(&self, events: &[Placed]) -> Result<Vec<Row>, DbError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let Columns { sources, ids, accounts, types, times, data, corrects } = Columns::of(events);
        let sql = include_str!("compare_events.sql");
        self.tx.all(sql, &[&self.tenant.0, &sources, &ids, &accounts, &types, &times, &data, &corrects]).await
    }

    async fn insert_readings(&self, readings: &[Reading], key: Option<Uuid>) -> Result<(), DbError> {
        if readings.is_empty() {
            return Ok(());
        }
        let dimensions = |it: &Reading| serde_json::to_string(&it.dimensions).expect("a list of text");
        self.tx
            .run(
                include_str!("insert_readings.sql"),
                &[
                    &self.tenant.0,
                    &column(readings, |it| it.account.0),
                    &column(readings, |it| it.meter.as_str()),
                    &column(readings, |it| it.hour.start()),
                    &column(readings, |it| it.at),
                    &column(readings, dimensions),
                    &column(readings, |it| it.quantity),
                    &column(readings, |it| it.item),
                    &column(readings, |it| it.event.as_deref()),
                    &key,
                ],
            )
            .await?;
        Ok(())
    }

    async fn remove_readings(&self, readings: &[Reading]) -> Result<(), DbError> {
        if readings.is_empty() {
            return Ok(());
        }
        self.tx
            .run(
                include_str!("remove_readings.sql"),
                &[
                    &self.tenant.0,
                    &column(readings, |it| it.account.0),
                    &column(readings, |it| it.meter.as_str()),
                    &column(readings, |it| it.hour.start()),
                    &column(readings, |it| it.event.as_deref()),
                ],
            )
            .await?;
        Ok(())
    }

    async fn mark_late_months(&self, readings: &[Reading]) -> Result<(), StoreError> {
        let of = |it: &Reading| {
            (it.account.0, it.hour.month().start(), it.aggregation == Aggregation::TimeWeightedSum)
        };
        let touched: BTreeSet<_> = readings.iter().map(of).collect();
        if touched.is_empty() {
            return Ok(());
        }
        let touched: Vec<_> = touched.into_iter().collect();
        let (accounts, months) = (column(&touched, |it| it.0), column(&touched, |it| it.1));
        let lasts = column(&touched, |it| it.2);
        let sql = include_str!("mark_late_months.sql");
        self.tx.run(sql, &[&self.tenant.0, &self.now, &accounts, &months, &lasts]).await?;
        Ok(())
    }
}

/// The first cap of which more is spent than before and than it allows.
fn exceeded(before: &[(Cap, Money)], after: &[(Cap, Money)]) -> Option<Cap> {
    let is_exceeded = |((_, before), (cap, after)): &(&(Cap, Money), &(Cap, Money))| {
        after.micros > before.micros && !cap.allows(*after)
    };
    before.iter().zip(after).find(is_exceeded).map(|(_, (cap, _))| *cap)
}

fn cap_reached(cap: Cap) -> EventRefused {
    EventRefused::CapReached { limit: cap.limit, is_of_key: cap.key_id.is_some() }
}

/// Source and id of what an event corrects.
fn corrects(reported: &Reported) -> Option<(String, String)> {
    Some((reported.source.clone(), reported.corrects.clone()?))
}

fn refused_correction(reported: &Reported, why: impl Fn(&str) -> String) -> EventRefused {
    let id = reported.corrects.as_deref().unwrap_or("");
    EventRefused::Field { field: "corrects".into(), why: why(id) }
}

fn corrects_nothing(reported: &Reported) -> EventRefused {
    refused_correction(reported, |id| format!("this source has reported no event {id:?}"))
}

fn not_to_correct(reported: &Reported) -> EventRefused {
    refused_correction(reported, |id| {
        format!("{id:?} is not there, or was corrected by another event; correct that one")
    })
}

/// Events as columns.
struct Columns<'a> {
    sources: Vec<&'a str>,
    ids: Vec<&'a str>,
    accounts: Vec<Uuid>,
    types: Vec<&'a str>,
    times: Vec<Timestamp>,
    data: Vec<&'a str>,
    corrects: Vec<Option<&'a str>>,
}

impl<'a> Columns<'a> {
    fn of(events: &'a [Placed]) -> Self {
        Self {
            sources: column(events, |(_, it)| it.reported.source.as_str()),
            ids: column(events, |(_, it)| it.reported.id.as_str()),
            accounts: column(events, |(_, it)| it.account.0),
            types: column(events, |(_, it)| it.reported.event_type.as_str()),
            times: column(events, |(_, it)| it.reported.at),
            data: column(events, |(_, it)| it.data.as_str()),
            corrects: column(events, |(_, it)| it.reported.corrects.as_deref()),
        }
    }
}

/// What was read of an event when it came.
fn stored_readings(meters: &[OwnMeter], row: &Row) -> Result<Vec<Reading>, StoreError> {
    let last: i32 = row.get("meters_known");
    let there: Vec<OwnMeter> = meters.iter().filter(|meter| meter.number <= last).cloned().collect();
    let account = AccountId(row.get("account_id"));
    let reported = Reported {
        source: row.get("source"),
        id: row.get("id"),
        event_type: row.get("type"),
        at: row.get("occurred_at"),
        account: Some(account),
        data: serde_json::from_str(row.get("data")).map_err(stored)?,
        corrects: row.get("corrects"),
    };
    Ok(event::readings(&there, &reported, account).map_err(stored)?)
}
