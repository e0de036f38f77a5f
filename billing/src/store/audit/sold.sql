-- Each subscription that an account holds or pays, on each plan version that it was on, with its prices.
-- $1 tenants, $2 their accounts
with of_account as (
  select s.tenant_id, a.account_id, s.subscription_id
    from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
    join subscription s on s.tenant_id = a.tenant_id and s.account_id = a.account_id
  union
  select c.tenant_id, a.account_id, c.subscription_id
    from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
    join subscription_change c on c.tenant_id = a.tenant_id and c.payer_id = a.account_id
), on_version as (
  select o.account_id, s.tenant_id, s.subscription_id, s.starts_at, s.ends_at, s.plan_version_id
    from of_account o
    join subscription s on s.tenant_id = o.tenant_id and s.subscription_id = o.subscription_id
  union
  select o.account_id, s.tenant_id, s.subscription_id, s.starts_at, s.ends_at, c.plan_version_id
    from of_account o
    join subscription s on s.tenant_id = o.tenant_id and s.subscription_id = o.subscription_id
    join subscription_change c on c.tenant_id = o.tenant_id and c.subscription_id = o.subscription_id
)
select s.tenant_id, s.account_id, s.subscription_id, s.starts_at, s.ends_at, s.plan_version_id, l.plan_id, l.vendor_id,
       v.currency, v.tax_class, v.prices_include_tax, p.price_id, p.meter, p.unit, p.per, p.unit_size, p.included, p.model,
       p.tier_up_to, p.tier_rate_micros, p.minimum_micros, p.cap_micros
  from on_version s
  join plan_version v on v.plan_version_id = s.plan_version_id
  join plan l on l.plan_id = v.plan_id
  join price p on p.plan_version_id = v.plan_version_id
 order by s.tenant_id, s.account_id, s.starts_at, s.subscription_id, s.plan_version_id, p.position
