-- Each subscription that an account holds or pays, on each plan version that it was on, with its prices.
-- $1 tenants, $2 their accounts
with on_version as (
  select s.tenant_id, s.subscription_id, s.account_id, s.starts_at, s.ends_at, s.plan_version_id, a.account_id as of_account
    from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
    join subscription s on s.tenant_id = a.tenant_id
  union
  select s.tenant_id, s.subscription_id, s.account_id, s.starts_at, s.ends_at, c.plan_version_id, a.account_id
    from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
    join subscription_change c on c.tenant_id = a.tenant_id
    join subscription s on s.tenant_id = c.tenant_id and s.subscription_id = c.subscription_id
)
select s.tenant_id, s.subscription_id, s.starts_at, s.ends_at, s.plan_version_id, l.plan_id, l.vendor_id, v.currency,
       v.tax_class, v.prices_include_tax, p.price_id, p.meter, p.unit, p.per, p.unit_size, p.included, p.model, p.tier_up_to,
       p.tier_rate_micros, p.minimum_micros, p.cap_micros
  from on_version s
  join plan_version v on v.plan_version_id = s.plan_version_id
  join plan l on l.plan_id = v.plan_id
  join price p on p.plan_version_id = v.plan_version_id
 where s.account_id = s.of_account
    or exists (select from subscription_change c
                where c.tenant_id = s.tenant_id and c.subscription_id = s.subscription_id and c.payer_id = s.of_account)
 order by s.tenant_id, s.starts_at, s.subscription_id, s.plan_version_id, p.position
