-- The levels that accounts set in some months, and those that they came with, each combination of dimensions in order.
-- A column each: $1 tenants, $2 accounts, $3 meters, $4 starts of months, $5 their ends; $6 the key whose usage it is or null
with wanted as (
  select w.*
    from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[])
         as w (tenant_id, account_id, meter, month_start, month_end)
    join meter m on m.tenant_id = w.tenant_id and m.name = w.meter and m.aggregation = 'time_weighted_sum'
)
select w.tenant_id, w.meter, w.month_start, r.dimensions, r.at, r.quantity, r.event
  from wanted w
  join reading r on r.tenant_id = w.tenant_id and r.account_id = w.account_id and r.meter = w.meter
   and w.month_start <= r.hour and r.hour < w.month_end and ($6::uuid is null or r.key_id = $6)
union all
select w.tenant_id, w.meter, w.month_start, c.dimensions, c.at, c.quantity, c.event
  from wanted w
 cross join lateral (
    select distinct on (r.dimensions) r.dimensions, r.at, r.quantity, r.event
      from reading r
     where r.tenant_id = w.tenant_id and r.account_id = w.account_id and r.meter = w.meter and r.hour < w.month_start
       and ($6::uuid is null or r.key_id = $6)
     order by r.dimensions, r.at desc, r.event desc
  ) c
 order by tenant_id, meter, month_start, dimensions, at, event
