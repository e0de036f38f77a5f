-- The tenant's own account. $1 tenant
select a.account_id, a.currency, t.sandbox
  from account a
  join tenant t on t.tenant_id = a.tenant_id
 where a.tenant_id = $1 and a.kind = 'tenant'
