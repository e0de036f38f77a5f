-- A column each: $1 tenants, $2 transactions, $3 ledger accounts, $4 currencies, $5 micros, $6 when
insert into ledger_entry (tenant_id, transaction_id, ledger_account, currency, amount_micros, created_at)
select e.*
  from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[]) as e
