-- What accounts owe, in their own currency. $1 tenants, $2 their accounts
select a.tenant_id, a.account_id, sum(e.amount_micros)::bigint as micros
  from unnest($1::uuid[], $2::uuid[]) as given (tenant_id, account_id)
  join account a on a.tenant_id = given.tenant_id and a.account_id = given.account_id
  join ledger_entry e
    on e.tenant_id = a.tenant_id and e.ledger_account = 'receivable:' || a.account_id and e.currency = a.currency
 group by a.tenant_id, a.account_id
