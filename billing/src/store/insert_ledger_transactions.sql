-- Transactions with their entries, all at once: a close checks them together. A column each, first of transactions: $1 tenants,
-- $2 transactions, $3 when; $4 the kind of all; then of entries: $5 tenants, $6 transactions, $7 ledger accounts,
-- $8 currencies, $9 micros, $10 when
with heads as (
  insert into ledger_transaction (tenant_id, transaction_id, kind, created_at)
  select t.tenant_id, t.transaction_id, $4::text, t.created_at
    from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) as t (tenant_id, transaction_id, created_at)
)
insert into ledger_entry (tenant_id, transaction_id, ledger_account, currency, amount_micros, created_at)
select e.*
  from unnest($5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::bigint[], $10::timestamptz[]) as e
