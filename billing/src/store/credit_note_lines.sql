-- What the credit notes of a statement take back, line by line. $1 tenant, $2 statement
select l.credit_note_id, l.line_id, l.vendor_id, l.tax_group, l.amount_micros, l.billed_micros, c.currency
  from credit_note_line l
  join credit_note c on c.tenant_id = l.tenant_id and c.credit_note_id = l.credit_note_id
  join statement_line s on s.tenant_id = l.tenant_id and s.statement_id = l.statement_id and s.line_id = l.line_id
 where l.tenant_id = $1 and l.statement_id = $2
 order by l.tax_group, s.position
