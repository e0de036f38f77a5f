-- Keeps the greatest quantity of each counter, and marks the final months that have grown.
-- $1 tenant, $2 legs, $3 meters, $4 hours, $5 quantities (each counter once), $6 now
with reported as (
  -- A sandbox leg keeps the clock that it began with, so that its counters stay the same when the clock is advanced.
  select r.leg_id, r.meter, r.hour + make_interval(hours => coalesce(l.clock_offset_hours, 0)) as hour, r.quantity
    from unnest($2::uuid[], $3::text[], $4::timestamptz[], $5::bigint[]) as r (leg_id, meter, hour, quantity)
    left join leg l on l.tenant_id = $1 and l.leg_id = r.leg_id
), grown as (
  insert into usage_fact as f (tenant_id, leg_id, meter, hour, quantity, first_seen_at, updated_at)
  select $1, r.leg_id, r.meter, r.hour, r.quantity, $6::timestamptz, $6::timestamptz from reported r
   order by r.leg_id, r.meter, r.hour
  on conflict (tenant_id, leg_id, meter, hour) do update
     set quantity = greatest(f.quantity, excluded.quantity), updated_at = excluded.updated_at
   where f.quantity < excluded.quantity
  returning f.hour
), late as (
  insert into late_month (tenant_id, account_id, month, created_at)
  select distinct s.tenant_id, s.account_id, (s.period_start at time zone 'UTC')::date, $6::timestamptz
    from grown g
    join statement s
      on s.tenant_id = $1 and s.account_id = (select o.account_id from account o where o.tenant_id = $1 and o.kind = 'tenant')
     and s.period_start <= g.hour and g.hour < s.period_end -- usage is the business's, not its people's
   order by 3
  on conflict do nothing
)
select count(*) from grown
