-- Vendors that are owed so much or more in a currency and have said where to, whoever's they are, after one.
-- $1, $2 and $3 after which tenant, vendor and currency, $4 how many, $5 processor
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
 where (v.tenant_id, v.vendor_id) >= ($1, $2) and (v.tenant_id, v.vendor_id, o.currency) > ($1, $2, $3::text)
   and d.processor = $5
 order by v.tenant_id, v.vendor_id, o.currency
 limit $4
