-- A plan of one of the tenant's own vendors. $1 tenant, $2 plan, $3 vendor, $4 name, $5 add-on, $6 now
insert into plan (tenant_id, plan_id, vendor_id, name, add_on, created_at)
select v.tenant_id, $2, v.vendor_id, $4, $5, $6
  from vendor v
 where v.tenant_id = $1 and v.vendor_id = $3
