-- Tenants' own vendors. $1 tenants, $2 their accounts
select v.tenant_id, v.vendor_id
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join vendor v on v.tenant_id = a.tenant_id
