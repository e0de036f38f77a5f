-- The hours that lines are made of, a column each: $1 tenants, $2 lines, $3 hours, $4 subscriptions, $5 prices,
-- $6 quantities, $7 micros, $8 currencies, $9 when
insert into charge
  (tenant_id, line_id, hour, subscription_id, price_id, quantity, amount_micros, currency, created_at)
select c.*
  from unnest(
    $1::uuid[], $2::uuid[], $3::timestamptz[], $4::uuid[], $5::uuid[], $6::bigint[], $7::bigint[], $8::text[],
    $9::timestamptz[]
  ) as c
