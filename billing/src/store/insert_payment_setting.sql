-- $1 tenant, $2 account, $3 sequence, $4 method, $5 at least, $6 and $7 how the wallet fills itself up, $8 now
insert into payment_setting
  (tenant_id, account_id, sequence, payment_method_id, at_least_micros, top_up_micros, top_up_ceiling_micros, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
