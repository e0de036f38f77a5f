-- Legs that facts name and nobody knows, some of each tenant. $1 tenants, $2 their accounts
select a.tenant_id, n.leg_id
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
 cross join lateral (
   select distinct f.leg_id
     from usage_fact f
    where f.tenant_id = a.tenant_id
      and not exists (select from leg l where l.tenant_id = f.tenant_id and l.leg_id = f.leg_id)
    order by f.leg_id
    limit 100
  ) n
