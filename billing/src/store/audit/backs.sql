-- What went back of payments: refunds, and what payers objected to. $1 tenants, $2 their accounts
select r.tenant_id, r.payment_id, r.refund_id as back_id, r.currency, r.amount_micros, 0::bigint as fee_micros,
       r.state = 'failed' as came_again
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join refund r on r.tenant_id = a.tenant_id
union all
select d.tenant_id, d.payment_id, d.dispute_id, d.currency, d.amount_micros, d.fee_micros, d.state = 'won'
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join dispute d on d.tenant_id = a.tenant_id
