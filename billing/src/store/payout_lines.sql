-- What a payout is made of. $1 tenant, $2 payout
select l.transaction_id, t.kind, l.currency, l.amount_micros, t.created_at
  from payout_line l
  join ledger_transaction t on t.tenant_id = l.tenant_id and t.transaction_id = l.transaction_id
 where l.tenant_id = $1 and l.payout_id = $2
 order by t.posted_by, l.transaction_id
