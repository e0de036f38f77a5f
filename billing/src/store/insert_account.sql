-- The account of the tenant itself, once. $1 tenant, $2 account, $3 name, $4 plan version (for its currency), $5 now
insert into account (tenant_id, account_id, kind, name, currency, created_at)
select $1, $2, 'tenant', $3, v.currency, $5
  from plan_version v
 where v.plan_version_id = $4
on conflict (tenant_id) where kind = 'tenant' do nothing
