-- What all credit notes take back of what was taxed alike. $1 tenants, $2 their accounts
select t.tenant_id, t.credit_note_id, coalesce(t.tax_group, 1) as tax_group, t.taxable_micros, t.tax_micros
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join credit_note_tax t on t.tenant_id = a.tenant_id
 order by t.tenant_id, t.credit_note_id, t.position
