-- The caps of a tenant that are in force, that on all usage first. $1 tenant
select c.cap_id, c.key_id, c.limit_micros, c.currency, c.created_at
  from spending_cap c
 where c.tenant_id = $1 and c.ended_at is null
 order by c.key_id nulls first
