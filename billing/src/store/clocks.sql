-- The clocks of tenants. $1 tenants
select t.tenant_id, t.sandbox, t.clock_offset_hours from tenant t where t.tenant_id = any ($1::uuid[])
