-- Accounts of tenants' people. $1 tenants
select a.tenant_id, a.account_id, a.currency, t.sandbox
  from account a
  join tenant t on t.tenant_id = a.tenant_id
 where a.tenant_id = any ($1::uuid[]) and a.kind = 'person'
 order by a.tenant_id, a.account_id
