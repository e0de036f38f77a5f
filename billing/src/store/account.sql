-- The account that a tenant itself pays with. $1 tenant
select a.account_id, a.name, a.currency
  from account a
 where a.tenant_id = $1 and a.kind = 'tenant'
