-- Has an account tried a plan, in any version of it? $1 tenant, $2 account, $3 plan version
select exists (
  select from subscription_change c
    join plan_version tried on tried.plan_version_id = c.plan_version_id
    join plan_version this on this.plan_id = tried.plan_id
   where c.tenant_id = $1 and c.account_id = $2 and c.state = 'trial' and this.plan_version_id = $3
) as had_trial
