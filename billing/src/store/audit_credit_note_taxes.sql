-- What all credit notes take back of what was taxed alike. $1 tenant
select t.credit_note_id, coalesce(t.tax_group, 1) as tax_group, t.taxable_micros, t.tax_micros
  from credit_note_tax t
 where t.tenant_id = $1
 order by t.credit_note_id, t.position
