-- $1 tenant, $2 note, $3 statement, $4 when, then a column each: $5 places in the breakdown, $6 categories, $7 countries,
-- $8 rates, $9 whether prices include the tax, $10 and $11 micros without tax and of tax
insert into credit_note_tax (
  tenant_id, credit_note_id, statement_id, created_at, tax_group, category, country, rate_millionths, prices_include_tax,
  taxable_micros, tax_micros, position
)
select $1, $2, $3, $4, t.*
  from unnest($5::integer[], $6::text[], $7::text[], $8::bigint[], $9::boolean[], $10::bigint[], $11::bigint[])
       with ordinality as t
