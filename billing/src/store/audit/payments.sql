-- All payments. $1 tenants, $2 their accounts
select p.tenant_id, p.payment_id, p.number, p.account_id, p.purpose, p.state, p.currency, p.amount_micros,
       coalesce(p.fee_micros, 0) as fee_micros
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join payment p on p.tenant_id = a.tenant_id
