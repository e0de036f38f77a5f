-- How many vendors a tenant has. $1 tenant
select count(*) as vendors from vendor v where v.tenant_id = $1
