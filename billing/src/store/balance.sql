-- What stands on an account of the ledger. $1 tenant, $2 ledger account, $3 currency
select coalesce(sum(e.amount_micros), 0)::bigint as micros
  from ledger_entry e
 where e.tenant_id = $1 and e.ledger_account = $2 and e.currency = $3::text
