//! What coupons take off and credits pay.

use super::*;

fn amounts(statement: &Statement) -> Vec<(&'static str, i64)> {
    statement.lines.iter().map(|line| (line.kind.as_str(), line.amount.micros)).collect()
}

#[test]
fn a_discount_is_a_line_that_names_its_coupon() {
    let mut service = Service::new(vec![
        sold(1, 1, 25_000_000, Class::Standard, false),
        sold(2, 2, 10_000_000, Class::Standard, false),
    ]);
    service.books.coupons = vec![
        coupon(1, 1, Off::PercentMillionths(200_000), Some(2)),
        coupon(2, 1, Off::Amount(usd(5_000_000)), Some(1)),
        coupon(3, 2, Off::Amount(usd(70_000_000)), Some(1)),
    ];
    let october = service.finalise().clone();
    let lines = [("recurring", 25_000_000), ("recurring", 10_000_000)];
    // A fifth of 25; 5 of what is left; all of 10, and not more.
    let off = [("discount", -5_000_000), ("discount", -5_000_000), ("discount", -10_000_000)];
    assert_eq!(amounts(&october), [&lines[..], &off].concat());
    assert_eq!(october.lines[2].description, "Spring: Plan");
    assert_eq!(october.lines[2].coupon_id, Some(CouponId(Uuid::from_u128(1))));
    assert_eq!(october.lines[4].discounts, Some(october.lines[1].line_id));
    assert_eq!(october.lines[4].vendor_id, october.lines[1].vendor_id);
    assert_eq!(october.total, usd(15_000_000));
    let november = service.finalise();
    assert_eq!(amounts(november), [&lines[..], &off[..1]].concat(), "amounts were for one month");
    let december = service.finalise();
    assert_eq!(amounts(december), lines, "the share was for two");
    let sold = service.balance(LedgerAccount::Revenue(VendorId(Uuid::from_u128(2))));
    assert_eq!(sold, usd(-20_000_000), "the vendor gave the first month");
}

/// What is known late of a month gets the share that the month had, and no amount.
#[test]
fn late_usage_is_discounted_as_its_month_was() {
    let starts = "2026-10-01T00:00:00Z";
    let mut service = Service::new(vec![subscription(1, starts, None, vec![minutes(2, 1_000_000, 0)])]);
    service.books.coupons = vec![
        coupon(1, 1, Off::PercentMillionths(500_000), Some(1)),
        coupon(2, 1, Off::Amount(usd(1_000_000)), None),
    ];
    service.finalise();
    service.record(Hour::of(at("2026-10-10T00:00:00Z")), 600_000);
    let november = service.finalise();
    let seen = [("metered", 0), ("adjustment", 10_000_000), ("discount", -5_000_000)];
    assert_eq!(amounts(november), seen);
    assert_eq!(november.lines[2].for_month, Some(month("2026-10")));
}

#[test]
fn a_coupon_for_some_plans_leaves_the_others() {
    let mut service = Service::new(vec![sold(1, 1, 25_000_000, Class::Standard, false)]);
    let mut redeemed = coupon(1, 1, Off::PercentMillionths(200_000), None);
    redeemed.coupon.plans = vec![crate::ids::PlanId(Uuid::from_u128(5))];
    service.books.coupons = vec![redeemed];
    assert_eq!(service.finalise().lines.len(), 1);
    service.books.subscriptions[0].plan_id = crate::ids::PlanId(Uuid::from_u128(5));
    assert_eq!(service.finalise().lines.len(), 2);
}

#[test]
fn credits_pay_what_is_billed_and_run_out() {
    let mut service = Service::new(vec![sold(1, 1, 25_000_000, Class::Standard, false)]);
    service.books.tax = taxed("DE", "DE", false);
    service.give(1, 20, Some(at("2026-11-15T00:00:00Z")));
    service.give(2, 15, None);
    let october = service.finalise().clone();
    assert_eq!((october.total, october.payable), (usd(30_000_000), usd(0)));
    let parts =
        |parts: &[CreditPart]| parts.iter().map(|it| it.amount.micros / 1_000_000).collect::<Vec<_>>();
    assert_eq!((parts(&october.credits), parts(&october.expired_credits)), (vec![20, 10], vec![]));
    service.give(3, 7, Some(at("2026-11-15T00:00:00Z")));
    let november = service.finalise().clone();
    assert_eq!((parts(&november.credits), parts(&november.expired_credits)), (vec![5], vec![7]));
    assert_eq!(november.payable, usd(25_000_000));
    assert_eq!(november.tab.after, usd(25_000_000));
    assert_eq!(service.ledger.imbalance(), None);
    let account = service.books.account.account_id;
    assert_eq!(service.balance(LedgerAccount::Credits(account)), usd(0));
    assert_eq!(service.balance(LedgerAccount::Promotions), usd(35_000_000), "what expired was not given");
    assert_eq!(service.balance(LedgerAccount::Tax(*b"DE")), usd(-10_000_000), "all that was sold is taxed");
}
