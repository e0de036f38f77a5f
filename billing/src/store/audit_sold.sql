-- Each subscription that an account holds or pays, on each plan version that it was on, with its prices.
-- $1 tenant, $2 account
with on_version as (
  select s.subscription_id, s.account_id, s.starts_at, s.ends_at, s.plan_version_id
    from subscription s
   where s.tenant_id = $1
  union
  select s.subscription_id, s.account_id, s.starts_at, s.ends_at, c.plan_version_id
    from subscription s
    join subscription_change c on c.tenant_id = s.tenant_id and c.subscription_id = s.subscription_id
   where s.tenant_id = $1
)
select s.subscription_id, s.starts_at, s.ends_at, s.plan_version_id, l.plan_id, l.vendor_id, v.currency, v.tax_class, v.prices_include_tax,
       p.price_id, p.meter, p.unit, p.per, p.unit_size, p.included, p.model, p.tier_up_to, p.tier_rate_micros,
       p.minimum_micros, p.cap_micros
  from on_version s
  join plan_version v on v.plan_version_id = s.plan_version_id
  join plan l on l.plan_id = v.plan_id
  join price p on p.plan_version_id = v.plan_version_id
 where s.account_id = $2
    or exists (select from subscription_change c
                where c.tenant_id = $1 and c.subscription_id = s.subscription_id and c.payer_id = $2)
 order by s.starts_at, s.subscription_id, s.plan_version_id, p.position
