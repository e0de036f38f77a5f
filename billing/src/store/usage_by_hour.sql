-- What all legs of tenants used in each hour of some months. $1 tenants, $2 starts of months of theirs, $3 their ends
select u.tenant_id, u.meter, array_agg(u.hour) as hours, array_agg(u.quantity) as quantities
  from (
    select f.tenant_id, f.meter, f.hour, sum(f.quantity)::bigint as quantity
      from unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) as m (tenant_id, month_start, month_end)
      join usage_fact f
        on f.tenant_id = m.tenant_id and m.month_start <= f.hour and f.hour < m.month_end
     group by f.tenant_id, f.meter, f.hour
  ) u
 group by u.tenant_id, u.meter
