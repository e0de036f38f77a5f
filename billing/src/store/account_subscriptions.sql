-- What accounts hold or sponsor, as it began, ended subscriptions too, an account's oldest first.
-- $1 tenants, $2 their accounts
select s.tenant_id, s.account_id as payer_id, s.account_id, s.subscription_id, s.plan_version_id, s.starts_at, s.ends_at
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join subscription s on s.tenant_id = a.tenant_id and s.account_id = a.account_id
union all
select distinct s.tenant_id, c.payer_id, s.account_id, s.subscription_id, s.plan_version_id, s.starts_at, s.ends_at
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join subscription_change c on c.tenant_id = a.tenant_id and c.payer_id = a.account_id and c.payer_id <> c.account_id
  join subscription s on s.tenant_id = c.tenant_id and s.subscription_id = c.subscription_id
 order by tenant_id, starts_at, subscription_id
