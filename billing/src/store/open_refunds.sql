-- Refunds whose outcome is not known, whoever's they are. $1 after which, $2 how many
select r.number, r.tenant_id, r.refund_id, r.payment_id, r.currency, r.amount_micros, r.attempted_at
  from refund r
 where r.state = 'attempted' and r.number > $1
 order by r.number
 limit $2
