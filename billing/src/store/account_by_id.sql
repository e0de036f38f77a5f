-- One account, or the tenant's own. $1 tenant, $2 account or null
select a.account_id, a.kind = 'tenant' as is_tenant, a.name, a.currency, a.created_at
  from account a
 where a.tenant_id = $1
   and case when $2::uuid is null then a.kind = 'tenant' else a.account_id = $2 end
