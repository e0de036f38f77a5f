-- All credit notes of an account with their lines, a row each. $1 tenant, $2 account
select c.credit_note_id, c.statement_id, c.legal_entity, c.series_number, c.number, c.currency, c.net_micros, c.tax_micros,
       c.total_micros, l.line_id, l.vendor_id, l.amount_micros
  from credit_note c
  left join credit_note_line l on l.tenant_id = c.tenant_id and l.credit_note_id = c.credit_note_id
 where c.tenant_id = $1 and c.account_id = $2
 order by c.series_number, l.line_id
