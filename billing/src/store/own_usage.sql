-- What accounts used of meters of their tenants' in each hour of some months; of levels see levels.sql.
-- A column each: $1 tenants, $2 accounts, $3 meters, $4 starts of months, $5 their ends; $6 the key whose usage it is or null
with wanted as (
  select w.*, m.aggregation
    from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[])
         as w (tenant_id, account_id, meter, month_start, month_end)
    join meter m on m.tenant_id = w.tenant_id and m.name = w.meter
)
select w.tenant_id, w.meter, w.aggregation, r.hour,
       least(case w.aggregation when 'sum' then sum(r.quantity) else max(r.quantity) end, 9223372036854775807)::bigint as quantity,
       null::uuid[] as items
  from wanted w
  join reading r on r.tenant_id = w.tenant_id and r.account_id = w.account_id and r.meter = w.meter
   and w.month_start <= r.hour and r.hour < w.month_end and ($6::uuid is null or r.key_id = $6)
 where w.aggregation in ('sum', 'maximum')
 group by w.tenant_id, w.meter, w.aggregation, r.hour
union all
(select distinct on (w.tenant_id, w.meter, r.hour) w.tenant_id, w.meter, w.aggregation, r.hour, r.quantity, null
  from wanted w
  join reading r on r.tenant_id = w.tenant_id and r.account_id = w.account_id and r.meter = w.meter
   and w.month_start <= r.hour and r.hour < w.month_end and ($6::uuid is null or r.key_id = $6)
 where w.aggregation = 'latest'
 order by w.tenant_id, w.meter, r.hour, r.at desc, r.event desc)
union all
select w.tenant_id, w.meter, w.aggregation, r.hour, 0, array_agg(distinct r.item)
  from wanted w
  join reading r on r.tenant_id = w.tenant_id and r.account_id = w.account_id and r.meter = w.meter
   and w.month_start <= r.hour and r.hour < w.month_end and ($6::uuid is null or r.key_id = $6)
 where w.aggregation = 'unique_count'
 group by w.tenant_id, w.meter, w.aggregation, r.hour
