-- All settlements. $1 tenants, $2 their accounts
select s.tenant_id, s.settlement_id, s.account_id, s.kind, s.currency, s.amount_micros, s.fee_micros
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join settlement s on s.tenant_id = a.tenant_id
