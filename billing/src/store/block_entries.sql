-- The entries of a range of database transactions, in the order of the chain; a transaction without entries has one row of
-- nulls. $1 first, $2 end
select t.tenant_id, t.transaction_id, t.kind, t.posted_by::text as posted_by, t.created_at,
       e.ledger_account, e.currency, e.amount_micros
  from ledger_transaction t
  left join ledger_entry e on e.tenant_id = t.tenant_id and e.transaction_id = t.transaction_id
 where t.posted_by >= $1::text::xid8 and t.posted_by < $2::text::xid8
 order by t.posted_by, t.tenant_id, t.transaction_id, e.ledger_account collate "C", e.currency collate "C"
