-- $1 tenant
select t.sandbox, t.clock_offset_hours from tenant t where t.tenant_id = $1
