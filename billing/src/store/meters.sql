-- A tenant's own meters in the order of their making. $1 tenant
select m.number, m.name, m.unit, m.event_type, m.aggregation, m.value_property, m.filters::text as filters, m.dimensions,
       m.created_at
  from meter m
 where m.tenant_id = $1
 order by m.number
