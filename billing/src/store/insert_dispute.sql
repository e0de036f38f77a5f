-- $1 tenant, $2 payment, $3 dispute, $4 currency, $5 micros, $6 fee, $7 now
insert into dispute (tenant_id, payment_id, dispute_id, currency, amount_micros, fee_micros, opened_at)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict do nothing
