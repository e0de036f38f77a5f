-- $1 tenant, $2 transaction, $3 ledger accounts, $4 currencies, $5 micros, $6 now
insert into ledger_entry (tenant_id, transaction_id, ledger_account, currency, amount_micros, created_at)
select $1, $2, e.ledger_account, e.currency, e.amount_micros, $6
  from unnest($3::text[], $4::text[], $5::bigint[]) as e (ledger_account, currency, amount_micros)
