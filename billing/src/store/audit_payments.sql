-- All payments. $1 tenant
select p.payment_id, p.number, p.account_id, p.purpose, p.state, p.currency, p.amount_micros,
       coalesce(p.fee_micros, 0) as fee_micros
  from payment p
 where p.tenant_id = $1
