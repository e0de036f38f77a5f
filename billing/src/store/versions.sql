-- Versions with their prices, newest first. $1 plan or null, $2 versions or null
select v.plan_version_id, v.plan_id, v.version, v.currency, v.trial_days, v.features::text as features, v.created_at,
       v.tax_class, v.prices_include_tax,
       l.vendor_id, l.name as plan, l.add_on,
       p.price_id, p.description, p.meter, p.unit, p.unit_size, p.included, p.model, p.tier_up_to, p.tier_rate_micros,
       p.minimum_micros, p.cap_micros, p.per
  from plan_version v
  join plan l on l.plan_id = v.plan_id
  join price p on p.plan_version_id = v.plan_version_id
 where ($1::uuid is null or v.plan_id = $1) and ($2::uuid[] is null or v.plan_version_id = any ($2))
 order by v.version desc, v.plan_version_id, p.position
