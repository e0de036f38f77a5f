-- Legs that facts name and nobody knows. $1 tenant
select distinct f.leg_id
  from usage_fact f
 where f.tenant_id = $1
   and not exists (select from leg l where l.tenant_id = f.tenant_id and l.leg_id = f.leg_id)
 order by f.leg_id
 limit 100
