-- A meter's usage by hour, day or month, grouped by some of its dimensions; levels are worked out elsewhere.
-- $1 tenant, $2 account, $3 meter, $4 aggregation, $5 from, $6 to, $7 `hour`, `day` or `month`, $8 places of the dimensions that are
-- grouped by, $9 places of dimensions and $10 what they must be, $11 and $12 the last row of the page before or null, $13 how many
with read as (
  select r.hour, r.at, r.dimensions, r.quantity, r.item, r.event
    from reading r
   where r.tenant_id = $1 and r.account_id = $2 and r.meter = $3 and $5 <= r.hour and r.hour < $6
  union all
  -- What our nodes count is the business's own, by room and call.
  select f.hour, f.hour, array[coalesce(c.room_id::text, ''), coalesce(c.call_id::text, '')], f.quantity, null, null
    from usage_fact f
    join account a on a.tenant_id = f.tenant_id and a.account_id = $2 and a.kind = 'tenant'
    left join leg l on l.tenant_id = f.tenant_id and l.leg_id = f.leg_id
    left join call c on c.tenant_id = l.tenant_id and c.call_id = l.call_id
   where f.tenant_id = $1 and f.meter = $3 and $5 <= f.hour and f.hour < $6
), grouped as (
  select date_trunc($7::text, r.hour, 'UTC') as bucket,
         array(select r.dimensions[p.place] from unnest($8::integer[]) with ordinality as p (place, n) order by p.n) as groups,
         case $4::text
           when 'sum' then least(sum(r.quantity), 9223372036854775807)::bigint
           when 'maximum' then max(r.quantity)
           when 'latest' then (array_agg(r.quantity order by r.at desc, r.event desc))[1]
           else count(distinct r.item)
         end as quantity
    from read r
   where not exists (
     select from unnest($9::integer[], $10::text[]) as w (place, value) where r.dimensions[w.place] is distinct from w.value
   )
   group by 1, 2
)
select g.bucket, g.groups, g.quantity
  from grouped g
 where $11::timestamptz is null or (g.bucket, g.groups) > ($11::timestamptz, $12::text[])
 order by g.bucket, g.groups
 limit $13
