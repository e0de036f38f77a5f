-- A coupon that somebody knows the code of. $1 coupon
select c.coupon_id, c.code, c.name, c.vendor_id, c.plans, c.percent_millionths, c.amount_micros, c.currency, c.months,
       c.redemptions_max, c.redeem_by
  from tuppence_coupon($1::uuid) c
