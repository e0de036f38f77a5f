-- All usage of tenants by meter and hour. $1 tenants, $2 their accounts
select f.tenant_id, f.meter, f.hour, sum(f.quantity)::bigint as quantity
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join usage_fact f on f.tenant_id = a.tenant_id
 group by f.tenant_id, f.meter, f.hour
 order by f.tenant_id, f.meter, f.hour
