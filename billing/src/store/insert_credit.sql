-- $1 tenant, $2 account, $3 credit, $4 micros, $5 currency, $6 reason, $7 expires or null, $8 now there, $9 now
insert into credit_grant
  (tenant_id, account_id, credit_id, amount_micros, currency, reason, expires_at, granted_at, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
