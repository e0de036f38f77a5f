-- Counts one more redemption, if one more may be. $1 coupon
select tuppence_take_coupon($1::uuid) as is_taken
