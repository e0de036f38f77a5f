-- Tenants' own meters in the order of their making. $1 tenants, $2 their accounts
select m.tenant_id, m.number, m.name, m.event_type, m.aggregation, m.value_property, m.filters::text as filters,
       m.dimensions
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join meter m on m.tenant_id = a.tenant_id
 order by m.tenant_id, m.number
