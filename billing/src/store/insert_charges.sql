-- The hours that a line is made of. $1 tenant, $2 line, $3 subscription, $4 price, $5 hours, $6 quantities, $7 micros,
-- $8 currency, $9 now
insert into charge
  (tenant_id, line_id, hour, subscription_id, price_id, quantity, amount_micros, currency, created_at)
select $1, $2, c.hour, $3, $4, c.quantity, c.amount_micros, $8, $9
  from unnest($5::timestamptz[], $6::bigint[], $7::bigint[]) as c (hour, quantity, amount_micros)
