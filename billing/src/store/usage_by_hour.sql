-- What all of a tenant's legs used in each hour of some months. $1 tenant, $2 starts of months, $3 their ends
select f.meter, f.hour, sum(f.quantity)::bigint as quantity
  from unnest($2::timestamptz[], $3::timestamptz[]) as m (month_start, month_end)
  join usage_fact f on f.tenant_id = $1 and m.month_start <= f.hour and f.hour < m.month_end
 group by f.meter, f.hour
