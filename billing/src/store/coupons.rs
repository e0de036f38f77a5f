//! Coupons, in their tables.

use super::{
    StoreError, Who,
    clock::tenant_clock,
    finalise::lock,
    payers::who,
    row::{month, new_id, stored},
    statements::drafted,
    tax::mark,
};
use crate::{
    catalogue::Refused,
    coupon::{Coupon, CouponRefused, NewCoupon, Off, Redeemed, Wanting},
    currency::Currency,
    db::{DbError, Transaction},
    ids::{AccountId, CouponId, PlanId, TenantId, VendorId},
    money::Money,
    period::Month,
    statement::{self, Statement},
};
use jiff::Timestamp;
use std::collections::BTreeMap;
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

/// Makes a coupon: of a tenant's vendor in its scope, of the operator's in service scope.
pub async fn insert_coupon(
    tx: &Transaction,
    tenant: Option<TenantId>,
    new: &NewCoupon,
    now: Timestamp,
) -> Result<Result<Coupon, Refused>, DbError> {
    let coupon = match new.check(CouponId(new_id(now))) {
        Ok(coupon) => coupon,
        Err(refused) => return Ok(Err(refused)),
    };
    let refused = |field: &str, why: &str| Refused { field: field.into(), why: why.into() };
    let (percent, amount) = match coupon.off {
        Off::PercentMillionths(millionths) => (Some(millionths), None),
        Off::Amount(amount) => (None, Some(amount)),
    };
    let plans: Vec<Uuid> = coupon.plans.iter().map(|plan| plan.0).collect();
    let params: [&(dyn ToSql + Sync); 13] = [
        &tenant.map(|tenant| tenant.0),
        &coupon.coupon_id.0,
        &coupon.vendor_id.0,
        &coupon.code,
        &coupon.name,
        &plans,
        &percent,
        &amount.map(|amount| amount.micros),
        &amount.map(|amount| amount.currency.to_string()),
        &coupon.months.map(u32::cast_signed),
        &coupon.redemptions_max,
        &coupon.redeem_by,
        &now,
    ];
    match tx.run(include_str!("insert_coupon.sql"), &params).await {
        Ok(1) => Ok(Ok(coupon)),
        Ok(_) => Ok(Err(refused(
            "vendor_id",
            "is no vendor of whoever makes it, or some of the plans are not its",
        ))),
        Err(error) if error.constraint() == Some("coupon_code_unique") => {
            Ok(Err(refused("code", "means another coupon already")))
        }
        Err(error) => Err(error),
    }
}

/// What accounts have redeemed, each account's in the order of its redeeming.
pub(super) async fn redeemed(
    tx: &Transaction,
    of_each: &[&(dyn ToSql + Sync)],
) -> Result<BTreeMap<Who, Vec<Redeemed>>, DbError> {
    let mut all: BTreeMap<Who, Vec<Redeemed>> = BTreeMap::new();
    for row in tx.all(include_str!("redeemed_coupons.sql"), of_each).await? {
        all.entry(who(&row)).or_default().push(Redeemed { coupon: coupon(&row)?, from: month(&row) });
    }
    Ok(all)
}

/// What an account has redeemed; the business's own if none is named.
pub async fn redeemed_coupons(
    tx: &Transaction,
    tenant: TenantId,
    account: Option<AccountId>,
) -> Result<Vec<Redeemed>, StoreError> {
    let account = super::account_of_tenant(tx, tenant, account).await?.ok_or(StoreError::NoAccount)?;
    let of_each: [&(dyn ToSql + Sync); 2] = [&vec![tenant.0], &vec![account.account_id.0]];
    Ok(redeemed(tx, &of_each).await?.into_values().next().unwrap_or_default())
}

fn coupon(row: &Row) -> Result<Coupon, DbError> {
    let off = match row.get::<_, Option<i64>>("percent_millionths") {
        Some(millionths) => Off::PercentMillionths(millionths),
        None => {
            let currency: Currency = row.get::<_, &str>("currency").parse().map_err(stored)?;
            Off::Amount(Money::micros(row.get("amount_micros"), currency))
        }
    };
    Ok(Coupon {
        coupon_id: CouponId(row.get("coupon_id")),
        code: row.get("code"),
        name: row.get("name"),
        vendor_id: VendorId(row.get("vendor_id")),
        plans: row.get::<_, Vec<Uuid>>("plans").into_iter().map(PlanId).collect(),
        off,
        months: row.get::<_, Option<i32>>("months").map(i32::unsigned_abs),
        redemptions_max: row.get("redemptions_max"),
        redeem_by: row.get("redeem_by"),
    })
}

/// Why nothing was redeemed.
#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    /// The coupon does not allow it.
    #[error(transparent)]
    Refused(#[from] CouponRefused),
    /// Something failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DbError> for RedeemError {
    fn from(error: DbError) -> Self {
        Self::Store(error.into())
    }
}

/// What redeeming a coupon would do to the open month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The coupon, and from when on it counts.
    pub redeemed: Redeemed,
    /// The draft without it.
    pub before: Statement,
    /// And with it.
    pub after: Statement,
    account: AccountId,
    is_rehearsed: bool,
}

/// Thinks a code through, for the business's own account if none is named. Nothing happens.
pub async fn try_coupon(
    tx: &Transaction,
    (tenant, account): (TenantId, Option<AccountId>),
    code: &str,
    now: Timestamp,
) -> Result<Tried, RedeemError> {
    let clock = tenant_clock(tx, tenant, now).await?;
    let known = tx.optional(include_str!("coupon_of_code.sql"), &[&code]).await?;
    let known = known.ok_or(CouponRefused::Unknown)?;
    let (id, count): (Uuid, i64) = (known.get("coupon_id"), known.get("redeemed"));
    let coupon = coupon(&tx.one(include_str!("coupon.sql"), &[&id]).await?)?;
    let (mut books, month, as_of) = drafted(tx, (tenant, account), now).await?;
    coupon.check(Wanting {
        currency: books.account.currency,
        now: clock.now,
        has_redeemed: books.coupons.iter().any(|it| it.coupon.coupon_id == coupon.coupon_id),
        redeemed: count,
    })?;
    let draft = |books: &_| statement::draft(books, month, as_of).map_err(StoreError::from);
    let before = draft(&books)?;
    let redeemed = Redeemed { coupon, from: Month::of(clock.now) };
    books.coupons.push(redeemed.clone());
    let after = draft(&books)?;
    Ok(Tried { redeemed, before, after, account: books.account.account_id, is_rehearsed: clock.sandbox })
}

/// Redeems a code for an account, the business's own if none is named, from the month in progress on. A rehearsal takes none from the others.
pub async fn redeem_coupon(
    tx: &Transaction,
    (tenant, account): (TenantId, Option<AccountId>),
    code: &str,
    now: Timestamp,
) -> Result<Tried, RedeemError> {
    lock(tx, tenant).await?;
    let tried = try_coupon(tx, (tenant, account), code, now).await?;
    let (coupon, account) = (tried.redeemed.coupon.coupon_id.0, tried.account.0);
    if !tried.is_rehearsed {
        let taken = tx.one(include_str!("take_coupon.sql"), &[&coupon]).await?;
        if !taken.get::<_, bool>("is_taken") {
            return Err(CouponRefused::UsedUp.into());
        }
    }
    let params: [&(dyn ToSql + Sync); 5] =
        [&tenant.0, &account, &coupon, &tried.redeemed.from.first_day(), &now];
    tx.run(include_str!("insert_redemption.sql"), &params).await?;
    mark(tx, tenant, account).await?;
    Ok(tried)
}
