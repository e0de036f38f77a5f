//! What a month comes to, row by row.

use super::*;

/// Rows: `plan PRICE a month`, `plan RATE a minute beyond FREE`, `from TIME [to TIME]`, `used TIME MS`,
/// `final YYYY-MM` then `line …`, `total MICROS`, `carried MICROS`, `tab MICROS` of what came out.
fn check(table: &str) {
    let mut prices = Vec::new();
    let mut service = Service::new(Vec::new());
    let mut lines: Vec<Line> = Vec::new();
    for row in
        table.lines().map(|row| row.split('#').next().unwrap_or("").trim()).filter(|row| !row.is_empty())
    {
        let number = |word: &str| word.replace('_', "").parse::<i64>().expect(row);
        let id = 100 + prices.len() as u128;
        let of = service.books.subscriptions.len() as u128 + 1;
        let last = service.statements.last();
        match row.split_whitespace().collect::<Vec<_>>()[..] {
            ["price", micros, "a", "month"] => prices.push(recurring(id, number(micros))),
            ["price", rate, "a", "minute", "beyond", free] => {
                prices.push(minutes(id, number(rate), number(free)))
            }
            ["from", starts] => {
                service.books.subscriptions.push(subscription(of, starts, None, std::mem::take(&mut prices)));
            }
            ["from", starts, "to", ends] => {
                let it = subscription(of, starts, Some(ends), std::mem::take(&mut prices));
                service.books.subscriptions.push(it);
            }
            ["used", when, quantity] => service.record(Hour::of(at(when)), number(quantity)),
            ["draft", when] => {
                let month = service.books.open_month().expect(row);
                lines = draft(&service.books, month, at(when)).expect(row).lines;
            }
            ["final", period] => {
                assert_eq!(service.books.open_month(), Some(month(period)), "{row}");
                lines = service.finalise().lines.clone();
            }
            ["line", kind, quantity, "charge", micros] => {
                let line = lines.remove(0);
                let seen = (line.kind.as_str(), line.quantity.expect(row), line.amount.micros);
                assert_eq!(seen, (kind, number(quantity), number(micros)), "{row}");
            }
            ["line", "adjustment", "of", late, quantity, "charge", micros] => {
                let line = lines.remove(0);
                let seen = (line.for_month, line.quantity.expect(row), line.amount.micros);
                assert_eq!(seen, (Some(month(late)), number(quantity), number(micros)), "{row}");
            }
            ["total", micros] => assert_eq!(last.expect(row).total.micros, number(micros), "{row}"),
            ["carried", micros] => assert_eq!(last.expect(row).carried_out.micros, number(micros), "{row}"),
            ["tab", micros] => assert_eq!(last.expect(row).tab.after.micros, number(micros), "{row}"),
            ["nothing", "else"] => assert_eq!(lines, [], "{row}"),
            _ => panic!("a row nobody understands: {row}"),
        }
    }
}

#[test]
fn a_month_is_rounded_once_and_the_rest_is_carried() {
    check(
        "
        price  25_000_000 a month
        price  50_000 a minute beyond 1
        from   2026-10-01T00:00:00Z
        used   2026-10-02T09:00:00Z  90000         # 1.5 min
        used   2026-10-02T10:00:00Z  630000        # 10.5 min: 11 of the 12 cost
        final  2026-10
        line   recurring 744 charge 25_000_000
        line   metered 720000 charge 550_000
        nothing else
        total  26_000_000                          # 25.55 ¢ to the cent
        carried -450_000
        tab    26_000_000
        final  2026-11
        line   recurring 720 charge 25_000_000
        line   metered 0 charge 0
        total  25_000_000                          # 25 ¢ less the 0.45 ¢ billed before
        carried -450_000
        tab    51_000_000
        ",
    );
}

#[test]
fn a_draft_grows_by_the_hour() {
    check(
        "
        price  74_400_000 a month                  # 0.1 ¢ an hour in October
        from   2026-10-01T00:00:00Z
        draft  2026-10-01T00:00:00Z
        nothing else
        draft  2026-10-01T00:00:01Z                # an hour that has begun counts
        line   recurring 1 charge 100_000
        draft  2026-10-01T01:00:00Z
        line   recurring 1 charge 100_000
        draft  2026-10-31T23:59:59Z
        line   recurring 744 charge 74_400_000
        draft  2026-12-24T00:00:00Z                # late, but the month is over
        line   recurring 744 charge 74_400_000
        ",
    );
}

#[test]
fn two_subscriptions_that_share_a_month_add_up_to_its_price() {
    check(
        "
        price  5_000_000 a month
        from   2026-10-01T00:00:00Z to 2026-10-11T13:00:00Z
        price  5_000_000 a month
        from   2026-10-11T13:00:00Z
        final  2026-10
        line   recurring 253 charge 1_700_269
        line   recurring 491 charge 3_299_731
        total  5_000_000
        carried 0
        final  2026-11
        line   recurring 720 charge 5_000_000      # the ended one has no line
        nothing else
        ",
    );
}

#[test]
fn usage_outside_of_a_subscription_costs_nothing() {
    check(
        "
        price  1_000_000 a minute beyond 0
        from   2026-10-05T10:00:00Z to 2026-10-05T12:00:00Z
        used   2026-10-05T09:00:00Z  60000
        used   2026-10-05T10:00:00Z  60000
        used   2026-10-05T11:00:00Z  60000
        used   2026-10-05T12:00:00Z  60000
        final  2026-10
        line   metered 120000 charge 2_000_000
        ",
    );
}

#[test]
fn late_usage_becomes_an_adjustment_that_names_its_month() {
    check(
        "
        price  1_000_000 a minute beyond 1
        from   2026-09-01T00:00:00Z
        used   2026-09-30T23:00:00Z  90000
        final  2026-09
        line   metered 90000 charge 500_000
        total  0                                   # half a cent goes to the even side
        carried 500_000
        used   2026-09-12T08:00:00Z  30000         # after the fact
        used   2026-10-01T00:00:00Z  120000
        final  2026-10
        line   metered 120000 charge 1_000_000
        line   adjustment of 2026-09 30000 charge 500_000
        nothing else
        total  2_000_000
        carried 0
        used   2026-09-13T08:00:00Z  60000         # and again, with a later month
        used   2026-10-13T08:00:00Z  60000
        final  2026-11
        line   metered 0 charge 0
        line   adjustment of 2026-09 60000 charge 1_000_000
        line   adjustment of 2026-10 60000 charge 1_000_000
        nothing else
        final  2026-12                             # each is billed once
        line   metered 0 charge 0
        nothing else
        tab    4_000_000
        ",
    );
}

#[test]
fn a_line_keeps_its_name_while_it_grows() {
    let mut books = books(vec![subscription(
        1,
        "2026-10-01T00:00:00Z",
        None,
        vec![recurring(1, 25_000_000), minutes(2, 5, 0)],
    )]);
    let early = draft(&books, month("2026-10"), at("2026-10-02T00:00:00Z")).expect("small");
    books.usage.add(Meter::ParticipantMs, Hour::of(at("2026-10-03T00:00:00Z")), 60_000);
    let late = draft(&books, month("2026-10"), at("2026-10-09T00:00:00Z")).expect("small");
    let next = draft(&books, month("2026-11"), at("2026-11-09T00:00:00Z")).expect("small");
    let names =
        |statement: &Statement| statement.lines.iter().map(|line| line.line_id).collect::<BTreeSet<_>>();
    assert_eq!(names(&early), names(&late));
    assert!(names(&late).is_disjoint(&names(&next)));
    assert_eq!(names(&late).len(), 2);
}

#[test]
fn json_is_as_documented() {
    let books = books(vec![subscription(1, "2026-10-01T00:00:00Z", None, vec![minutes(2, 50_000, 1_000)])]);
    let statement = draft(&books, month("2026-10"), at("2026-10-02T00:00:00Z")).expect("small");
    let json = serde_json::to_value(&statement).expect("plain");
    assert_eq!(json["statement_id"], serde_json::Value::Null);
    assert_eq!(json["status"], "draft");
    assert_eq!(json["period"]["end"], "2026-11-01T00:00:00Z");
    assert_eq!(json["tab"]["collect"]["decision"], "wait");
    let line = &json["lines"][0];
    assert_eq!(line["kind"], "metered");
    assert_eq!(line["meter"], "participant_ms");
    assert_eq!(line["included"], 60_000_000);
    assert_eq!(line["rate"]["amount"], "0.0005");
    assert_eq!(line["for_month"], serde_json::Value::Null);
}
