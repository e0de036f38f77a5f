-- The coupon that a code means, and how often it was redeemed. $1 code
select c.coupon_id, c.redeemed from tuppence_coupon_of_code($1::text) c
