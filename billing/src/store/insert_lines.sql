-- A column each: $1 tenants, $2 statements, $3 lines, $4 positions, $5 kinds, $6 descriptions, $7 meters, $8 quantities,
-- $9 units, $10 their sizes, $11 included, $12 rates, $13 micros, $14 currencies, $15 months, $16 subscriptions,
-- $17 prices, $18 vendors, $19 when, $20 places in the breakdown, $21 coupons,
-- $22 the lines that they discount
insert into statement_line (
  tenant_id, statement_id, line_id, position, kind, description, meter, quantity, unit, unit_size, included,
  rate_micros, amount_micros, currency, month, subscription_id, price_id, vendor_id, created_at, tax_group,
  coupon_id, discounts
)
select l.*
  from unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::integer[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[],
    $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::text[], $15::date[], $16::uuid[], $17::uuid[],
    $18::uuid[], $19::timestamptz[], $20::integer[], $21::uuid[], $22::uuid[]
  ) as l
