-- The operator and a tenant's own vendors, oldest first. $1 how many
select v.vendor_id, v.name, v.tenant_id is null as is_operator, v.created_at
  from vendor v
 order by v.vendor_id
 limit $1
