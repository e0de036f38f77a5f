-- Vendors that are owed so much or more in a currency and have said where to, whoever's they are, after one.
-- $1 and $2 after which tenant and vendor, $3 how many, $4 processor
select v.tenant_id, v.vendor_id, d.sequence, d.token, o.currency, o.micros
  from vendor v
 cross join lateral (
    select * from payout_destination d
     where d.tenant_id = v.tenant_id and d.vendor_id = v.vendor_id
     order by d.sequence desc
     limit 1
  ) d
 cross join lateral (
    select e.currency, -sum(e.amount_micros)::bigint as micros
      from ledger_entry e
     where e.tenant_id = v.tenant_id and e.ledger_account = 'payable:' || v.vendor_id
     group by e.currency
    having sum(e.amount_micros) < 0
  ) o
 where (v.tenant_id, v.vendor_id) > ($1, $2) and d.processor = $4
 order by v.tenant_id, v.vendor_id, o.currency
 limit $3
