-- $1 tenant, $2 vendor, $3 payout, $4 currency, then a column each: $5 transactions, $6 micros; $7 now
insert into payout_line (tenant_id, vendor_id, payout_id, currency, transaction_id, amount_micros, created_at)
select $1, $2, $3, $4::text, l.transaction_id, l.micros, $7
  from unnest($5::uuid[], $6::bigint[]) as l (transaction_id, micros)
