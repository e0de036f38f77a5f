-- All ledger entries. $1 tenant
select e.transaction_id, e.ledger_account, e.currency, e.amount_micros
  from ledger_entry e
 where e.tenant_id = $1
 order by e.transaction_id, e.ledger_account, e.currency
