-- The order in which transactions came into the ledger; who writes for a tenant holds its lock before writing anything.
-- $1 tenant
select t.transaction_id, t.posted_by::text::numeric::bigint as place from ledger_transaction t where t.tenant_id = $1
