//! What must hold whatever happens.

use super::*;

fn october() -> Vec<Subscription> {
    vec![subscription(1, "2026-10-03T07:00:00Z", None, vec![recurring(1, 25_000_000), minutes(2, 50_000, 3)])]
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let first = Hour::of(at("2026-10-01T00:00:00Z")).0;
    (0_u128..4, 0_i64..744, 0_u64..600_000).prop_map(move |(leg, hour, quantity)| {
        let key = FactKey {
            leg: LegId(Uuid::from_u128(leg)),
            meter: Meter::ParticipantMs,
            hour: Hour(first + hour),
        };
        Fact { key, quantity }
    })
}

proptest! {
    #[test]
    fn the_order_of_facts_does_not_matter(
        (facts, shuffled) in prop::collection::vec(any_fact(), 0..40)
            .prop_flat_map(|facts| (Just(facts.clone()), Just(facts).prop_shuffle())),
    ) {
        let of = |facts: Vec<Fact>| {
            let books = Books { usage: Usage::of(&merge(facts)), ..books(october()) };
            draft(&books, month("2026-10"), at("2026-11-01T00:00:00Z")).expect("small")
        };
        prop_assert_eq!(of(facts), of(shuffled));
    }

    /// A run that stops anywhere and goes on later has charged the same hours as one that did not.
    #[test]
    fn however_a_billing_run_is_split_it_charges_the_same(
        facts in prop::collection::vec(any_fact(), 0..40),
        cuts in prop::collection::btree_set(0_i64..744, 0..6),
    ) {
        let usage = Usage::of(&merge(facts));
        let october = month("2026-10");
        for price in &october_plan().prices {
            let hours = |until| charge::hourly(&october_plan(), price, &usage, october, until).expect("small");
            let whole = hours(october.next().first());
            let mut run = Vec::new();
            for until in cuts.iter().map(|cut| Hour(october.first().0 + cut)).chain([october.next().first()]) {
                let seen = charge::difference(&hours(until), &run).expect("small");
                run.extend(seen);
            }
            run.sort_by_key(|charge| charge.hour);
            let spent = |charge: &&charge::Charge| !charge.amount.is_zero() || charge.quantity.is_some_and(|it| it != 0);
            prop_assert_eq!(run.iter().collect::<Vec<_>>(), whole.iter().filter(spent).collect::<Vec<_>>());
            let total = charge::total(&october_plan(), price, &usage, october, october.next().first()).expect("small");
            let sum = Money::sum(Currency::USD, whole.iter().map(|charge| charge.amount)).expect("small");
            prop_assert_eq!(Some(sum), total.map(|rated| rated.amount));
        }
    }

    /// Months pass and facts come in, some of them late. The ledger always adds to zero, what was rated is billed or
    /// carried, a statement is off by half a cent at most, and in the end late and timely facts cost the same.
    #[test]
    fn whatever_comes_late_the_books_balance(
        rate in 0_i64..3_000_000,
        sticker in 0_i64..100_000_000,
        events in prop::collection::vec(prop_oneof![
            3 => (0_i64..4_000, 0_i64..4_000_000).prop_map(Some),
            1 => Just(None),
        ], 0..40),
    ) {
        let plan = |id| subscription(id, "2026-08-15T00:00:00Z", None, vec![recurring(1, sticker), minutes(2, rate, 100)]);
        let (mut late, mut timely) = (Service::new(vec![plan(1)]), Service::new(vec![plan(1)]));
        let first = Hour::of(at("2026-08-01T00:00:00Z")).0;
        for (hour, quantity) in events.iter().flatten() {
            timely.record(Hour(first + hour), *quantity);
        }
        for event in &events {
            match event {
                Some((hour, quantity)) => late.record(Hour(first + hour), *quantity),
                None => { late.finalise(); }
            }
        }
        while late.statements.len() < 45 { late.finalise(); }
        while timely.statements.len() < 45 { timely.finalise(); }

        let account = late.books.account.account_id;
        for service in [&late, &timely] {
            prop_assert_eq!(service.ledger.imbalance(), None);
            let billed = service.balance(LedgerAccount::Receivable(account));
            let carried = service.balance(LedgerAccount::Carried(account));
            let rated = service.balance(LedgerAccount::Revenue(VendorId(Uuid::from_u128(1))));
            prop_assert_eq!(billed.plus(carried).expect("small").micros, -rated.micros);
            for it in &service.statements {
                prop_assert!(2 * it.carried_out.micros.abs() <= 1_000_000, "half a cent at most");
                prop_assert_eq!(it.total.micros % 1_000_000, 0);
                prop_assert_eq!(it.tab.after, it.tab.before.plus(it.total).expect("small"));
            }
            prop_assert_eq!(service.statements[service.statements.len() - 1].carried_out, carried);
        }
        let rated = |service: &Service| service.balance(LedgerAccount::Revenue(VendorId(Uuid::from_u128(1))));
        prop_assert_eq!(rated(&late), rated(&timely), "late or not, the same is rated");
    }
}

fn october_plan() -> Subscription {
    october().remove(0)
}
