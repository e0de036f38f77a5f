//! A table says what is taken back; properties say that it is never more than was billed.

use super::*;
use crate::{
    currency::Currency,
    statement::tests::{Service, sold, taxed},
    tax::Class,
};
use proptest::prelude::*;
use uuid::Uuid;

fn cents(money: Money) -> i64 {
    money.micros / MICROS_PER_MINOR
}

/// A final statement of what vendors 1, 2, … sold in a month, in micros, sold from Germany to a consumer there.
fn statement(sales: &[(i64, Class, bool)]) -> Statement {
    let sold =
        (1..).zip(sales).map(|(id, (micros, class, includes))| sold(id, id, *micros, *class, *includes));
    let mut service = Service::new(sold.collect());
    service.books.tax = taxed("DE", "DE", false);
    service.finalise().clone()
}

fn id() -> CreditNoteId {
    CreditNoteId(Uuid::from_u128(5))
}

/// Rows: what was sold; which lines are credited by how much, note after note; net, tax and the refusal of each.
#[test]
fn a_correction_takes_back_what_was_billed_and_its_tax() {
    use Class::*;
    let one = [(25_550_000, Standard, false)]; // 26 + 5
    let two = [(25_400_000, Standard, false), (10_400_000, Reduced, false)]; // 25 + 5 and 11 + 1
    let within = [(25_000_000, Standard, true), (25_000_000, Standard, true)]; // 42 + 8
    let some = |lines: &[(usize, Option<i64>)]| Some(lines.to_vec());
    for (sales, notes) in [
        (&one[..], vec![(None, Ok((26, 5))), (None, Err("nothing is billed"))]),
        (
            &one,
            vec![
                (some(&[(0, Some(13))]), Ok((13, 2))),
                (None, Ok((13, 3))),
                (None, Err("nothing is billed")),
            ],
        ),
        (&one, vec![(some(&[(0, Some(27))]), Err("0.26 USD are billed"))]),
        (
            &one,
            vec![(some(&[(0, Some(20))]), Ok((20, 4))), (some(&[(0, Some(7))]), Err("0.06 USD are billed"))],
        ),
        (
            &one,
            vec![(some(&[(0, Some(0))]), Err("at least one")), (some(&[(0, Some(-1))]), Err("at least one"))],
        ),
        (
            &one,
            vec![(some(&[(0, None), (0, None)]), Err("named twice")), (some(&[(7, None)]), Err("no line"))],
        ),
        (&two, vec![(some(&[(1, None)]), Ok((11, 1))), (None, Ok((25, 5)))]),
        (&two, vec![(None, Ok((36, 6)))]),
        (
            &within,
            vec![(some(&[(0, None)]), Ok((21, 4))), (some(&[(1, Some(1))]), Ok((1, 0))), (None, Ok((20, 4)))],
        ),
    ] {
        let statement = statement(sales);
        let mut before: Vec<Correction> = Vec::new();
        for (lines, expected) in notes {
            let name =
                |place: usize| statement.lines.get(place).map_or(LineId(Uuid::nil()), |line| line.line_id);
            let asked = lines.map_or(Asked::Whole, |lines: Vec<(usize, Option<i64>)>| {
                let micros = |cents: i64| cents * MICROS_PER_MINOR;
                Asked::Lines(lines.into_iter().map(|(at, cents)| (name(at), cents.map(micros))).collect())
            });
            match (draw_up(&statement, &before, &asked), expected) {
                (Ok(drawn), Ok(sums)) => {
                    assert_eq!((cents(drawn.total_without_tax), cents(drawn.tax)), sums, "{asked:?}");
                    drawn.posting(id(), &statement).expect("balanced");
                    before.push(drawn);
                }
                (Err(refused), Err(why)) => assert!(refused.to_string().contains(why), "{refused}"),
                (drawn, expected) => panic!("{asked:?}: {drawn:?} instead of {expected:?}"),
            }
        }
    }
    let halves = Asked::Lines(vec![(statement(&one).lines[0].line_id, Some(500_000))]);
    assert_eq!(draw_up(&statement(&one), &[], &halves), Err(CreditNoteRefused::NotWhole));
}

#[test]
fn a_discount_is_credited_with_its_line() {
    use crate::{coupon::Off, statement::tests::coupon};
    let mut service = Service::new(vec![sold(1, 1, 25_000_000, Class::Standard, false)]);
    service.books.coupons = vec![coupon(1, 1, Off::PercentMillionths(200_000), None)];
    let last = service.finalise().clone();
    let off = Asked::Lines(vec![(last.lines[1].line_id, None)]);
    assert_eq!(draw_up(&last, &[], &off), Err(CreditNoteRefused::NoSuchLine(last.lines[1].line_id)));
    let drawn = draw_up(&last, &[], &Asked::Whole).expect("billed");
    assert_eq!((cents(drawn.total), drawn.lines.len()), (20, 1));
}

proptest! {
    /// Notes of any size in any order: each is whole and balances, together they are never more than was billed, and what
    /// takes back everything takes back all of each tax.
    #[test]
    fn credit_notes_never_exceed_the_statement(
        sales in prop::collection::vec((0_i64..60_000_000, 0_usize..4, any::<bool>()), 1..6),
        steps in prop::collection::vec((0_usize..6, 1_i64..30), 0..12),
        code in prop_oneof![Just("USD"), Just("JPY"), Just("KWD")],
    ) {
        let sales: Vec<_> = sales.into_iter().map(|(micros, class, includes)| (micros, Class::ALL[class], includes)).collect();
        let statement = in_currency(statement(&sales), code.parse().expect(code));
        let mut before: Vec<Correction> = Vec::new();
        for (place, minor) in steps {
            let line = statement.lines[place % statement.lines.len()].line_id;
            let asked = Asked::Lines(vec![(line, Some(minor * MICROS_PER_MINOR))]);
            if let Ok(drawn) = draw_up(&statement, &before, &asked) {
                drawn.posting(id(), &statement).expect("balanced");
                prop_assert_eq!(drawn.total.micros, minor * MICROS_PER_MINOR + drawn.taxes.iter()
                    .filter(|part| !part.treatment.prices_include_tax).map(|part| part.tax.micros).sum::<i64>());
                before.push(drawn);
            }
        }
        match draw_up(&statement, &before, &Asked::Whole) {
            Ok(rest) => before.push(rest),
            Err(refused) => prop_assert_eq!(refused, CreditNoteRefused::NothingLeft),
        }
        for (group, part) in (1..).zip(&statement.taxes) {
            let credited = before.iter().flat_map(|it| &it.taxes).filter(|it| it.tax_group.unwrap_or(1) == group);
            let sum = |of: fn(&CreditedTax) -> Money| credited.clone().map(|it| of(it).micros).sum::<i64>();
            prop_assert_eq!((sum(|it| it.taxable), sum(|it| it.tax)), (part.taxable.micros, part.tax.micros));
            prop_assert!(credited.clone().all(|it| it.taxable.micros >= 0 && it.tax.micros >= 0));
        }
        prop_assert_eq!(before.iter().map(|it| it.total.micros).sum::<i64>(), statement.total.micros);
        prop_assert_eq!(draw_up(&statement, &before, &Asked::Whole), Err(CreditNoteRefused::NothingLeft));
    }
}

/// The same statement in another currency: a minor unit is a minor unit.
fn in_currency(statement: Statement, currency: Currency) -> Statement {
    let of = |money: Money| Money { currency, ..money };
    Statement {
        currency,
        lines: statement.lines.iter().map(|line| Line { amount: of(line.amount), ..line.clone() }).collect(),
        taxes: statement
            .taxes
            .iter()
            .map(|part| crate::tax::Taxed {
                priced: of(part.priced),
                taxable: of(part.taxable),
                tax: of(part.tax),
                ..part.clone()
            })
            .collect(),
        total: of(statement.total),
        ..statement
    }
}
