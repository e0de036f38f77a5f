-- What stands on a vendor's account and in no payout yet. $1 tenant, $2 vendor, $3 currency
select e.transaction_id, -e.amount_micros as micros
  from ledger_entry e
 where e.tenant_id = $1 and e.ledger_account = 'payable:' || $2::uuid and e.currency = $3::text
   and not exists (select from payout p where p.tenant_id = e.tenant_id and p.payout_id = e.transaction_id)
   and not exists (select from payout_line l
                    where l.tenant_id = e.tenant_id and l.vendor_id = $2::uuid and l.currency = e.currency
                      and l.transaction_id = e.transaction_id)
 order by e.transaction_id
