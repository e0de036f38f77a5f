insert into statement_line (
  tenant_id, statement_id, line_id, position, kind, description, meter, quantity, unit, unit_size, included,
  rate_micros, amount_micros, currency, month, subscription_id, price_id, vendor_id, created_at
) values (
  $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
  $18, $19
)
