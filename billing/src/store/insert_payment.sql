-- $1 tenant, $2 account, $3 payment, $4 purpose, $5 method, $6 currency, $7 micros, $8 why, $9 now
insert into payment
  (tenant_id, account_id, payment_id, purpose, payment_method_id, currency, amount_micros, why, attempted_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
