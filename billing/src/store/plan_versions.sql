-- Plan versions with their prices. $1 plan versions
select v.plan_version_id, l.vendor_id, l.name as plan, v.currency,
       p.price_id, p.description, p.meter, p.unit, p.unit_size, p.included, p.model, p.tier_up_to, p.tier_rate_micros,
       p.minimum_micros, p.cap_micros
  from plan_version v
  join plan l on l.plan_id = v.plan_id
  join price p on p.plan_version_id = v.plan_version_id
 where v.plan_version_id = any ($1::uuid[])
 order by v.plan_version_id, p.position
