-- The same of sandboxes only, of which there are few. $1 and $2 after which, $3 how many
select a.tenant_id, a.account_id
  from tenant t
  join account a on a.tenant_id = t.tenant_id
 where t.sandbox and (a.tenant_id, a.account_id) > ($1, $2)
   and 0 < (select sum(e.amount_micros)
              from ledger_entry e
             where e.tenant_id = a.tenant_id and e.ledger_account = 'receivable:' || a.account_id
               and e.currency = a.currency)
 order by a.tenant_id, a.account_id
 limit $3
