-- The accounts that tenants themselves pay with. $1 tenants
select a.tenant_id, a.account_id, a.name, a.currency, a.has_terms
  from account a
 where a.tenant_id = any ($1::uuid[]) and a.kind = 'tenant'
