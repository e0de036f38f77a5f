-- What accounts said of themselves for the tax office, each account's in the order of its saying.
-- $1 tenants, $2 their accounts
select t.tenant_id, t.account_id, t.valid_from, t.country, t.vat_id, t.exemption
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join account_tax t on t.tenant_id = a.tenant_id and t.account_id = a.account_id
 order by t.tenant_id, t.account_id, t.sequence
