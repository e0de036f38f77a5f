-- $1 tenant, $2 note, $3 statement, $4 when, then a column each: $5 lines, $6 vendors, $7 places in the breakdown,
-- $8 and $9 micros taken back and billed
insert into credit_note_line (
  tenant_id, credit_note_id, statement_id, created_at, line_id, vendor_id, tax_group, amount_micros, billed_micros
)
select $1, $2, $3, $4, l.*
  from unnest($5::uuid[], $6::uuid[], $7::integer[], $8::bigint[], $9::bigint[]) as l
