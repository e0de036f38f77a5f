-- $1 tenant, $2 price, $3 version, $4 position, $5 description, $6 meter, $7 unit, $8 unit size, $9 bounds, $10 rates,
-- $11 model, $12 included, $13 minimum, $14 cap, $15 per, $16 now
insert into price
  (tenant_id, price_id, plan_version_id, position, description, meter, unit, unit_size, tier_up_to, tier_rate_micros,
   model, included, minimum_micros, cap_micros, per, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
