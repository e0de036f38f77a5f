-- An account's subscriptions with the prices of their plan versions, ended ones too. $1 tenant, $2 account
select s.subscription_id, s.starts_at, s.ends_at, l.vendor_id, l.name as plan, v.currency,
       p.price_id, p.description, p.meter, p.unit, p.unit_size, p.included, p.model, p.tier_up_to, p.tier_rate_micros,
       p.minimum_micros, p.cap_micros
  from subscription s
  join plan_version v on v.plan_version_id = s.plan_version_id
  join plan l on l.plan_id = v.plan_id
  join price p on p.plan_version_id = v.plan_version_id
 where s.tenant_id = $1 and s.account_id = $2
 order by s.starts_at, s.subscription_id, p.position
