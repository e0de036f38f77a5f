-- A column each: $1 tenants, $2 statements, $3 positions, $4 categories, $5 countries, $6 rates, $7 whether prices include
-- the tax, $8 reasons, $9 to $11 micros as priced, taxable and of tax, $12 currencies, $13 when
insert into statement_tax (
  tenant_id, statement_id, position, category, country, rate_millionths, prices_include_tax, reason, priced_micros,
  taxable_micros, tax_micros, currency, created_at
)
select t.*
  from unnest(
    $1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::text[], $6::bigint[], $7::boolean[], $8::text[], $9::bigint[],
    $10::bigint[], $11::bigint[], $12::text[], $13::timestamptz[]
  ) as t
