-- $1 tenant, $2 vendor, $3 name, $4 now
insert into vendor (tenant_id, vendor_id, name, created_at) values ($1, $2, $3, $4)
