-- The order in which transactions came into the ledger; who writes for a tenant holds its lock before writing anything.
-- $1 tenants, $2 their accounts
select t.tenant_id, t.transaction_id, t.posted_by::text::numeric::bigint as place
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join ledger_transaction t on t.tenant_id = a.tenant_id
