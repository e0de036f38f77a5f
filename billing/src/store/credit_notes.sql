-- The credit notes of a statement, oldest first. $1 tenant, $2 statement
select c.credit_note_id, c.number, c.statement_id, c.reason, c.currency, c.net_micros, c.tax_micros, c.total_micros,
       c.issued_at
  from credit_note c
 where c.tenant_id = $1 and c.statement_id = $2
 order by c.series_number
