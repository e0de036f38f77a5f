//! How a statement is taxed.

use super::*;

/// Rows: who buys from Germany, what is sold; each category with its taxable amount and tax in minor units; the total; and
/// what the ledger gets: a vendor's revenue in micros, and taxes.
#[test]
fn a_statement_is_taxed_for_each_category_and_rate() {
    use Class::*;
    let plain = |micros, class| vec![sold(1, 1, micros, class, false)];
    for (buyer, business, sales, taxes, total, revenue, owed) in [
        ("DE", false, plain(25_000_000, Standard), vec![("S", 25, 5)], 30, -25_000_000, vec![("tax:DE", -5)]),
        ("DE", true, plain(25_550_000, Reduced), vec![("AA", 26, 2)], 28, -25_550_000, vec![("tax:DE", -2)]),
        ("FI", false, plain(25_000_000, Standard), vec![("S", 25, 6)], 31, -25_000_000, vec![("tax:FI", -6)]),
        ("FI", true, plain(25_000_000, Standard), vec![("AE", 25, 0)], 25, -25_000_000, vec![]),
        ("US", false, plain(25_000_000, Standard), vec![("O", 25, 0)], 25, -25_000_000, vec![]),
        ("DE", false, plain(25_000_000, Zero), vec![("Z", 25, 0)], 25, -25_000_000, vec![]),
        // Two parts share a remainder: 25.4 and 10.4 are 35.8, of which 36 are billed.
        (
            "DE",
            false,
            vec![sold(1, 1, 25_400_000, Standard, false), sold(2, 2, 10_400_000, Reduced, false)],
            vec![("S", 25, 5), ("AA", 11, 1)],
            42,
            -25_400_000,
            vec![("tax:DE", -6)],
        ),
        // Within the price: two vendors give of the 8 in proportion to 25 and 25.
        (
            "DE",
            false,
            vec![sold(1, 1, 25_000_000, Standard, true), sold(2, 2, 25_000_000, Standard, true)],
            vec![("S", 42, 8)],
            50,
            -21_000_000,
            vec![("tax:DE", -8)],
        ),
    ] {
        let mut service = Service::new(sales);
        service.books.tax = taxed("DE", buyer, business);
        let last = service.finalise().clone();
        let cents = |money: Money| money.micros / crate::money::MICROS_PER_MINOR;
        let seen: Vec<_> = last
            .taxes
            .iter()
            .map(|part| (part.treatment.category.code(), cents(part.taxable), cents(part.tax)))
            .collect();
        assert_eq!(seen, taxes, "{buyer}");
        assert_eq!(cents(last.total), total, "{buyer}");
        assert!(last.lines.iter().all(|line| line.tax_group.is_some()));
        let posted = service.ledger.transactions().next().expect("posted").entries();
        let of = |account: &str| posted.iter().find(|entry| entry.account.to_string() == account);
        let vendor = LedgerAccount::Revenue(VendorId(Uuid::from_u128(1))).to_string();
        assert_eq!(of(&vendor).map(|entry| entry.amount.micros), Some(revenue), "{buyer}");
        let taxes = posted.iter().filter(|entry| matches!(entry.account, LedgerAccount::Tax(_)));
        let taxes: Vec<_> = taxes.map(|entry| (entry.account.to_string(), cents(entry.amount))).collect();
        let owed: Vec<_> = owed.into_iter().map(|(account, cents)| (account.to_owned(), cents)).collect();
        assert_eq!(taxes, owed, "{buyer}");
    }
}

/// Germany lowered its rate for the second half of 2020: what is known late of June is taxed as June was.
#[test]
fn late_usage_is_taxed_at_the_rate_of_its_month() {
    let mut service =
        Service::new(vec![subscription(1, "2020-06-01T00:00:00Z", None, vec![minutes(2, 1_000_000, 0)])]);
    service.books.tax = taxed("DE", "DE", false);
    service.finalise();
    service.record(Hour::of(at("2020-06-10T00:00:00Z")), 600_000);
    service.record(Hour::of(at("2020-07-10T00:00:00Z")), 600_000);
    let july = service.finalise();
    let amounts =
        |part: &tax::Taxed| (part.treatment.rate_millionths, part.taxable.amount(), part.tax.amount());
    let seen: Vec<_> = july.taxes.iter().map(amounts).collect();
    let of = |rate, tax: &str| (rate, "0.10".to_owned(), tax.to_owned());
    assert_eq!(seen, [of(160_000, "0.02"), of(190_000, "0.02")]);
    assert_eq!(july.lines.iter().map(|line| line.tax_group).collect::<Vec<_>>(), [Some(1), Some(2)]);
    assert_eq!(july.total.amount(), "0.24");
}

#[test]
fn whoever_said_nothing_is_outside_of_all_tax() {
    let mut service = Service::new(vec![sold(1, 1, 25_550_000, Class::Standard, true)]);
    let last = service.finalise();
    assert_eq!(last.taxes, [tax::Taxed::outside(last.subtotal, last.total)]);
    assert_eq!((last.tax.micros, last.total, last.total_without_tax), (0, usd(26_000_000), usd(26_000_000)));
    assert_eq!(last.lines[0].tax_group, None);
}

proptest! {
    /// Whatever is sold to whomever: gross is net and tax, what vendors and tax offices get is what the payer owes and what
    /// is carried, and a cent at most is carried.
    #[test]
    fn a_taxed_account_balances(
        sales in prop::collection::vec((1_u128..4, 0_i64..100_000_000, 0_usize..4, any::<bool>()), 1..6),
        buyer in prop_oneof![Just("DE"), Just("DK"), Just("FI"), Just("US")],
        is_business in any::<bool>(),
    ) {
        let sales = (1..).zip(&sales).map(|(id, (vendor, micros, class, includes))| {
            sold(id, *vendor, *micros, Class::ALL[*class], *includes)
        });
        let mut service = Service::new(sales.collect());
        service.books.tax = taxed("DE", buyer, is_business);
        for _ in 0..6 {
            let last = service.finalise();
            let sum = |of: fn(&tax::Taxed) -> Money| last.taxes.iter().map(|part| of(part).micros).sum::<i64>();
            prop_assert_eq!(sum(|part| part.taxable), last.total_without_tax.micros);
            prop_assert_eq!(sum(|part| part.tax), last.tax.micros);
            prop_assert_eq!(sum(|part| part.priced), last.subtotal.micros);
            prop_assert_eq!(last.total, last.total_without_tax.plus(last.tax).expect("small"));
            prop_assert!(last.carried_out.micros.abs() <= 1_000_000);
            let on_top = last.tax_on_top().micros;
            prop_assert_eq!(
                last.subtotal.micros + last.carried_in.micros + on_top,
                last.total.micros + last.carried_out.micros
            );
        }
        prop_assert_eq!(service.ledger.imbalance(), None);
        let account = service.books.account.account_id;
        prop_assert_eq!(service.balance(LedgerAccount::Receivable(account)), service.books.owed);
        prop_assert_eq!(service.balance(LedgerAccount::Carried(account)), service.statements[5].carried_out);
    }
}
