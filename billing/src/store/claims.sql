-- What statements were posted as earned, and whether that is owed to a vendor of the tenant's own.
-- $1 tenant, $2 statements
select e.transaction_id, e.ledger_account, -e.amount_micros as weight, v.tenant_id is not null as passed_on
  from ledger_entry e
  left join vendor v on e.ledger_account = 'revenue:' || v.vendor_id
 where e.tenant_id = $1 and e.transaction_id = any ($2::uuid[])
   and (e.ledger_account like 'revenue:%' or e.ledger_account like 'tax:%')
 order by e.transaction_id, e.ledger_account collate "C"
