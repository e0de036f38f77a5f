-- $1 tenant, $2 transaction, $3 kind, $4 now
insert into ledger_transaction (tenant_id, transaction_id, kind, created_at)
values ($1, $2, $3, $4)
on conflict do nothing
