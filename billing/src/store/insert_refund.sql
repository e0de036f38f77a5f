-- $1 tenant, $2 payment, $3 refund, $4 currency, $5 micros, $6 reason, $7 now
insert into refund (tenant_id, payment_id, refund_id, currency, amount_micros, reason, attempted_at)
values ($1, $2, $3, $4, $5, $6, $7)
