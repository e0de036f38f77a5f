-- The next meter of a tenant. $1 tenant, $2 name, $3 unit, $4 event type, $5 aggregation, $6 value property, $7 filters,
-- $8 dimensions, $9 now
insert into meter
  (tenant_id, number, name, unit, event_type, aggregation, value_property, filters, dimensions, created_at)
select $1, coalesce(max(m.number), 0) + 1, $2, $3, $4, $5, $6, $7::text::jsonb, $8, $9
  from meter m
 where m.tenant_id = $1
returning number
