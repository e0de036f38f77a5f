-- The block after one; ids of database transactions as text, since no client type holds them. $1 number
select b.number, b.previous_hash, b.hash, b.first_xid::text as first_xid, b.end_xid::text as end_xid, b.transactions
  from ledger_block b
 where b.number > $1
 order by b.number
 limit 1
