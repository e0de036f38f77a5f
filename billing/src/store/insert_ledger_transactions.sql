-- A column each: $1 tenants, $2 transactions, $3 when; $4 the kind of all
insert into ledger_transaction (tenant_id, transaction_id, kind, created_at)
select t.tenant_id, t.transaction_id, $4::text, t.created_at
  from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) as t (tenant_id, transaction_id, created_at)
