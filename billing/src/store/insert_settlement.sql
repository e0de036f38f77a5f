-- $1 tenant, $2 account, $3 settlement, $4 kind, $5 currency, $6 micros, $7 fee, $8 now
insert into settlement (tenant_id, account_id, settlement_id, kind, currency, amount_micros, fee_micros, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
