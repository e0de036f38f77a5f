//! Coupons and credits on real tables.

use crate::{
    support::{at, client, database, migrated_database, tenant},
    taxes::{lives_in, sells_from_germany},
};
use billing::{
    TenantId, audit,
    coupon::{CouponRefused, NewCoupon},
    db::{Db, DbError},
    ids::{StatementId, VendorId},
    statement::Statement,
    store::{self, GrantError, NewCredit, RedeemError},
};
use uuid::uuid;

const BEGAN: &str = "2026-09-01T00:00:00Z";
const OPERATOR: VendorId = VendorId(uuid!("0199c000-0000-7000-8000-000000000001"));

/// A fifth off what the operator sells, for two months.
pub(crate) fn a_fifth(code: &str) -> NewCoupon {
    NewCoupon {
        code: code.into(),
        name: "Spring".into(),
        vendor_id: OPERATOR,
        plans: Vec::new(),
        percent_millionths: Some(200_000),
        amount_micros: None,
        currency: None,
        months: Some(2),
        redemptions_max: None,
        redeem_by: None,
    }
}

/// Made by the operator.
pub(crate) async fn make(db: &Db, new: &NewCoupon) {
    let tx = db.service().await.expect("begins");
    store::insert_coupon(&tx, None, new, at(BEGAN)).await.expect("writes").expect("makes sense");
    tx.commit().await.expect("commits");
}

pub(crate) async fn redeem(db: &Db, tenant: TenantId, code: &str, now: &str) -> Result<(), RedeemError> {
    let tx = db.tenant(tenant).await.expect("begins");
    let seen = store::try_coupon(&tx, (tenant, None), code, at(now)).await?;
    let done = store::redeem_coupon(&tx, (tenant, None), code, at(now)).await?;
    assert_eq!(seen, done, "a preview comes true");
    let draft = store::draft(&tx, tenant, None, at(now)).await.expect("drafts");
    assert_eq!(draft, done.after);
    tx.commit().await.expect("commits");
    Ok(())
}

pub(crate) async fn give(
    db: &Db,
    tenant: TenantId,
    cents: i64,
    expires: Option<&str>,
    now: &str,
) -> Result<(), GrantError> {
    let tx = db.tenant(tenant).await.expect("begins");
    let account = store::account_of_tenant(&tx, tenant, None).await.expect("reads").expect("an account");
    let new = NewCredit {
        account: account.account_id,
        micros: cents * 1_000_000,
        reason: "Sorry".into(),
        expires_at: expires.map(at),
    };
    store::grant_credit(&tx, tenant, &new, at(now)).await?;
    tx.commit().await.expect("commits");
    Ok(())
}

async fn finalise(db: &Db, tenant: TenantId, month: &str, now: &str) -> Statement {
    let tx = db.tenant(tenant).await.expect("begins");
    let last = store::finalise(&tx, tenant, month.parse().expect(month), at(now)).await.expect("final");
    tx.commit().await.expect("commits");
    read(db, tenant, last.statement_id).await
}

async fn read(db: &Db, tenant: TenantId, id: StatementId) -> Statement {
    let tx = db.tenant(tenant).await.expect("begins");
    store::statement(&tx, tenant, id).await.expect("reads").expect("exists")
}

#[tokio::test]
async fn a_coupon_and_a_credit_make_statements_smaller() {
    let db = database().await;
    sells_from_germany(&db).await;
    make(&db, &a_fifth("SPRING-26")).await;
    let tenant = tenant(&db, false, BEGAN).await;
    lives_in(&db, tenant, "DE", None, BEGAN).await;
    redeem(&db, tenant, "SPRING-26", "2026-09-10T00:00:00Z").await.expect("redeemed");
    give(&db, tenant, 30, Some("2026-10-31T23:00:00Z"), "2026-09-10T00:00:00Z").await.expect("given");
    let september = finalise(&db, tenant, "2026-09", "2026-10-01T02:00:00Z").await;
    // 25 ¢ less a fifth are 20 ¢, with 19 % 24 ¢, all of it paid by the credit.
    let totals = |it: &Statement| (it.subtotal.amount(), it.total.amount(), it.payable.amount());
    assert_eq!(totals(&september), ("0.20".into(), "0.24".into(), "0.00".into()));
    assert_eq!(september.tab.after.amount(), "0.00");
    let kinds: Vec<&str> = september.lines.iter().map(|line| line.kind.as_str()).collect();
    assert_eq!(kinds, ["recurring", "metered", "metered", "discount"]);
    assert_eq!(read(&db, tenant, september.statement_id.expect("final")).await, september);
    let october = finalise(&db, tenant, "2026-10", "2026-11-01T02:00:00Z").await;
    assert_eq!(totals(&october), ("0.20".into(), "0.24".into(), "0.24".into()), "the credit had run out");
    assert_eq!(october.expired_credits[0].amount.amount(), "0.06");
    let november = finalise(&db, tenant, "2026-11", "2026-12-01T02:00:00Z").await;
    assert_eq!(totals(&november), ("0.25".into(), "0.30".into(), "0.30".into()), "the coupon was for two");
    assert_eq!(november.tab.after.amount(), "0.54");
    let tx = db.tenant(tenant).await.expect("begins");
    let account = store::account_of_tenant(&tx, tenant, None).await.expect("reads").expect("an account");
    let credits = store::credits(&tx, tenant, account.account_id).await.expect("lists");
    assert_eq!((credits[0].used.amount(), credits[0].expired.amount()), ("0.24".into(), "0.06".into()));
    let report = audit::audit(&db, at("2026-12-02T00:00:00Z")).await.expect("audits");
    assert_eq!(report.differences, []);
}

#[tokio::test]
async fn a_coupon_is_redeemed_as_often_as_it_may_by_anyone_and_once_by_each() {
    let db = database().await;
    make(&db, &NewCoupon { redemptions_max: Some(2), ..a_fifth("TWICE") }).await;
    let now = "2026-09-10T00:00:00Z";
    let (mut done, mut refused) = (0, Vec::new());
    let mut tenants = Vec::new();
    for _ in 0..4 {
        tenants.push(tenant(&db, false, BEGAN).await);
    }
    let mut tries = tokio::task::JoinSet::new();
    for tenant in tenants.clone() {
        let db = db.clone();
        tries.spawn(async move { redeem(&db, tenant, "TWICE", now).await });
    }
    for tried in tries.join_all().await {
        match tried {
            Ok(()) => done += 1,
            Err(RedeemError::Refused(why)) => refused.push(why),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((done, refused), (2, vec![CouponRefused::UsedUp; 2]));
    let rehearsal = tenant(&db, true, BEGAN).await;
    let again = redeem(&db, rehearsal, "TWICE", now).await;
    assert!(matches!(again, Err(RedeemError::Refused(CouponRefused::UsedUp))), "{again:?}");
    make(&db, &a_fifth("OFTEN")).await;
    redeem(&db, tenants[0], "OFTEN", now).await.expect("once");
    let again = redeem(&db, tenants[0], "OFTEN", now).await;
    assert!(matches!(again, Err(RedeemError::Refused(CouponRefused::AlreadyRedeemed))), "{again:?}");
    let unknown = redeem(&db, tenants[0], "NEVER", now).await;
    assert!(matches!(unknown, Err(RedeemError::Refused(CouponRefused::Unknown))), "{unknown:?}");
}

/// A business cannot make what the operator sells cheaper, and does not see codes that it was not told.
#[tokio::test]
async fn a_coupon_is_made_by_who_sells() {
    let db = database().await;
    let (one, other) = (tenant(&db, false, BEGAN).await, tenant(&db, false, BEGAN).await);
    let tx = db.tenant(one).await.expect("begins");
    let refused = store::insert_coupon(&tx, Some(one), &a_fifth("MINE"), at(BEGAN)).await.expect("asks");
    assert_eq!(refused.expect_err("the operator's vendor").field, "vendor_id");
    let vendor = store::insert_vendor(&tx, one, "Fern Shop", at(BEGAN)).await.expect("writes").expect("made");
    let own = NewCoupon { vendor_id: vendor.vendor_id, ..a_fifth("MINE") };
    store::insert_coupon(&tx, Some(one), &own, at(BEGAN)).await.expect("writes").expect("made");
    let again = store::insert_coupon(&tx, Some(one), &own, at(BEGAN)).await.expect("asks");
    assert_eq!(again.expect_err("the code is taken").field, "code");
    drop(tx);
    make(&db, &a_fifth("SECRET")).await;
    let tx = db.tenant(other).await.expect("begins");
    let seen: i64 = tx.one("select count(*) from coupon", &[]).await.expect("reads").get(0);
    assert_eq!(seen, 0);
    drop(tx);
    let foreign = redeem(&db, other, "MINE", BEGAN).await;
    assert!(matches!(foreign, Err(RedeemError::Refused(CouponRefused::Unknown))), "{foreign:?}");
}

#[tokio::test]
async fn a_credit_that_makes_no_sense_is_refused() {
    let db = database().await;
    let tenant = tenant(&db, false, BEGAN).await;
    for (cents, expires, why) in [
        (0, None, "at least one"),
        (-1, None, "at least one"),
        (1, Some("2026-08-31T00:00:00Z"), "in the past"),
        (1, Some(BEGAN), "in the past"),
    ] {
        let refused = give(&db, tenant, cents, expires, BEGAN).await.expect_err(why);
        assert!(refused.to_string().contains(why), "{refused}");
    }
}

/// Rows: what somebody tries to write, and the rule that refuses.
#[tokio::test]
async fn the_database_holds_coupons_and_credits_within_what_was_given() {
    let url = migrated_database().await;
    let db = Db::connect(&url).await.expect("connects");
    make(&db, &NewCoupon { redemptions_max: Some(1), ..a_fifth("ONCE") }).await;
    let tenant = tenant(&db, false, BEGAN).await;
    redeem(&db, tenant, "ONCE", BEGAN).await.expect("redeemed");
    give(&db, tenant, 30, None, BEGAN).await.expect("given");
    finalise(&db, tenant, "2026-09", "2026-10-01T02:00:00Z").await;
    let line = |changes: &str| {
        format!(
            "insert into statement_line select (r).* from (
               select jsonb_populate_record(l, jsonb_build_object('line_id', gen_random_uuid(), 'position', 9, {changes})) as r
                 from statement_line l where l.kind = 'discount') x"
        )
    };
    for (sql, constraint) in [
        (line("'amount_micros', -20000001"), "statement_line_discount_is_within_its_line"),
        (line("'amount_micros', 1"), "statement_line_discount_is_within_its_line"),
        (line("'discounts', gen_random_uuid()"), "statement_line_discount_is_within_its_line"),
        (line("'coupon_id', null"), "statement_line_discount_names_its_coupon"),
        (line("'kind', 'metered'"), "statement_line_discount_names_its_coupon"),
        (line("'kind', 'gift', 'coupon_id', null, 'discounts', null"), "statement_line_kind_known"),
        (
            "insert into credit_use select tenant_id, credit_id, gen_random_uuid(), 'used', 11000000, currency, now()
               from credit_grant"
                .into(),
            "credit_is_never_below_zero",
        ),
        ("update credit_grant set amount_micros = 1".into(), "credit_grant_is_append_only"),
        ("delete from credit_use".into(), "credit_use_is_append_only"),
        ("delete from coupon_redemption".into(), "coupon_redemption_is_append_only"),
        (
            "insert into coupon_redemption select tenant_id, account_id, coupon_id, 2, from_month, now()
               from coupon_redemption"
                .into(),
            "coupon_redemption_pkey",
        ),
        (
            "set tuppence.scope = 'service'; update coupon_count set redeemed = 2".into(),
            "coupon_is_redeemed_as_often_as_it_may",
        ),
        ("set tuppence.scope = 'service'; update coupon set months = null".into(), "coupon_is_append_only"),
    ] {
        let owner = client(&url).await;
        let scoped = format!("set tuppence.tenant = '{tenant}'; {sql}");
        let error = DbError::from(owner.batch_execute(&scoped).await.expect_err(&sql));
        assert_eq!(error.constraint(), Some(constraint), "{sql}: {error}");
    }
}
