-- Final months that facts came for after they were final. $1 tenants, $2 their accounts
select m.tenant_id, m.account_id, m.month
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join late_month m on m.tenant_id = a.tenant_id and m.account_id = a.account_id
