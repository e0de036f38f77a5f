-- The tenant's own vendors. $1 tenant
select v.vendor_id from vendor v where v.tenant_id = $1
