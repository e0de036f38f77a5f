-- $1 tenant, $2 account, $3 coupon, $4 first month, $5 now
insert into coupon_redemption (tenant_id, account_id, coupon_id, sequence, from_month, redeemed_at)
select $1, $2, $3,
       coalesce((select max(r.sequence) from coupon_redemption r where r.tenant_id = $1 and r.account_id = $2), 0) + 1,
       $4, $5
