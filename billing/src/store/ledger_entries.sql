-- The entries of a transaction. $1 tenant, $2 transaction
select e.ledger_account, e.currency, e.amount_micros
  from ledger_entry e
 where e.tenant_id = $1 and e.transaction_id = $2
 order by e.ledger_account, e.currency
