-- What went back of payments: refunds, and what payers objected to. $1 tenant
select r.payment_id, r.refund_id as back_id, r.currency, r.amount_micros, 0::bigint as fee_micros,
       r.state = 'failed' as came_again
  from refund r
 where r.tenant_id = $1
union all
select d.payment_id, d.dispute_id, d.currency, d.amount_micros, d.fee_micros, d.state = 'won'
  from dispute d
 where d.tenant_id = $1
