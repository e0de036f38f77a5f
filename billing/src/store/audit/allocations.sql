-- What settlements were laid against. $1 tenants, $2 their accounts
select l.tenant_id, l.settlement_id, l.statement_id, l.amount_micros
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join allocation l on l.tenant_id = a.tenant_id
