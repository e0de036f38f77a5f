-- What the credit notes of a statement take back, category by category. $1 tenant, $2 statement
select t.credit_note_id, t.tax_group, t.category, t.country, t.rate_millionths, t.prices_include_tax, t.taxable_micros,
       t.tax_micros, c.currency
  from credit_note_tax t
  join credit_note c on c.tenant_id = t.tenant_id and c.credit_note_id = t.credit_note_id
 where t.tenant_id = $1 and t.statement_id = $2
 order by t.position
