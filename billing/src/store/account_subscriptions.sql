-- What accounts subscribed to, ended subscriptions too, an account's oldest first. $1 tenants, $2 their accounts
select s.tenant_id, s.subscription_id, s.plan_version_id, s.starts_at, s.ends_at
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join subscription s on s.tenant_id = a.tenant_id and s.account_id = a.account_id
 order by s.tenant_id, s.starts_at, s.subscription_id
