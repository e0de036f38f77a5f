-- $1 tenant, $2 account, $3 note, $4 statement, $5 legal entity, $6 place, $7 number, $8 reason, $9 currency, $10 to $12
-- micros without tax, of tax and both, $13 now there
insert into credit_note (
  tenant_id, account_id, credit_note_id, statement_id, legal_entity, series_number, number, reason, currency, net_micros,
  tax_micros, total_micros, issued_at
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
