-- What a vendor of the tenant's own is owed, by currency; one row of nulls if nothing. $1 tenant, $2 vendor
select o.currency, o.micros
  from vendor v
  left join lateral (
    select e.currency, -sum(e.amount_micros)::bigint as micros
      from ledger_entry e
     where e.tenant_id = v.tenant_id and e.ledger_account = 'payable:' || v.vendor_id
     group by e.currency
  ) o on true
 where v.tenant_id = $1 and v.vendor_id = $2
