-- All credit notes of accounts with their lines, a row each. $1 tenants, $2 their accounts
select c.tenant_id, c.account_id, c.credit_note_id, c.statement_id, c.legal_entity, c.series_number, c.number, c.currency, c.net_micros,
       c.tax_micros, c.total_micros, l.line_id, l.vendor_id, l.amount_micros
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join credit_note c on c.tenant_id = a.tenant_id and c.account_id = a.account_id
  left join credit_note_line l on l.tenant_id = c.tenant_id and l.credit_note_id = c.credit_note_id
 order by c.tenant_id, c.account_id, c.series_number, l.line_id
