-- Which of some accounts are a tenant's, and its own among them. $1 tenant, $2 accounts
select a.account_id, a.kind = 'tenant' as is_tenant
  from account a
 where a.tenant_id = $1 and (a.kind = 'tenant' or a.account_id = any ($2::uuid[]))
