-- $1 order, $2 kind, $3 what it is aimed at, $4 payer, $5 currency, $6 micros, $7 whether it was answered, $8 outcome,
-- $9 detail, $10 fee, $11 now
insert into sandbox_order
  (order_id, kind, target, payer, currency, amount_micros, answered, outcome, detail, fee_micros, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
