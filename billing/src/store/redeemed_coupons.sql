-- What accounts have redeemed, each account's in the order of its redeeming. $1 tenants, $2 their accounts
select r.tenant_id, r.account_id, r.from_month as month, r.sequence, c.coupon_id, c.code, c.name, c.vendor_id, c.plans,
       c.percent_millionths, c.amount_micros, c.currency, c.months, c.redemptions_max, c.redeem_by
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join coupon_redemption r on r.tenant_id = a.tenant_id and r.account_id = a.account_id
  join coupon c on c.coupon_id = r.coupon_id
 order by r.tenant_id, r.account_id, r.sequence
