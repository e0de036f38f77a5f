-- All usage of a tenant by meter and hour. $1 tenant
select f.meter, f.hour, sum(f.quantity)::bigint as quantity
  from usage_fact f
 where f.tenant_id = $1
 group by f.meter, f.hour
 order by f.meter, f.hour
