-- Transactions of the real books in the order of tenant and id, with their entries. $1 and $2 after which tenant and
-- transaction, $3 how many, $4 and $5 from and to when
with page as (
  select t.tenant_id, t.transaction_id, t.kind, t.created_at
    from ledger_transaction t
    join tenant n on n.tenant_id = t.tenant_id and not n.sandbox
   where (t.tenant_id, t.transaction_id) > ($1, $2) and $4 <= t.created_at and t.created_at < $5
   order by t.tenant_id, t.transaction_id
   limit $3
)
select t.tenant_id, t.transaction_id, coalesce(s.number, t.kind) as title, t.created_at,
       e.ledger_account, e.currency, e.amount_micros
  from page t
  join ledger_entry e on e.tenant_id = t.tenant_id and e.transaction_id = t.transaction_id
  left join statement s on s.tenant_id = t.tenant_id and s.statement_id = t.transaction_id
 order by t.tenant_id, t.transaction_id, e.ledger_account collate "C", e.currency collate "C"
