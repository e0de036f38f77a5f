-- The refunds of a payment, oldest first. $1 tenant, $2 payment
select r.refund_id, r.payment_id, r.currency, r.amount_micros, r.reason, r.state, r.detail, r.attempted_at, r.ended_at
  from refund r
 where r.tenant_id = $1 and r.payment_id = $2
 order by r.number
