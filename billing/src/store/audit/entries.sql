-- All ledger entries. $1 tenants, $2 their accounts
select e.tenant_id, e.transaction_id, e.ledger_account, e.currency, e.amount_micros
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join ledger_entry e on e.tenant_id = a.tenant_id
 order by e.tenant_id, e.transaction_id, e.ledger_account, e.currency
