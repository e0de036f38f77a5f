-- Accounts, and how they pay: by what they said last. $1 tenants, $2 an account of each; the tenant's own where none is named
select a.tenant_id, a.account_id, a.kind = 'tenant' as is_tenant, a.name, a.currency, a.has_terms, m.rail
  from unnest($1::uuid[], $2::uuid[]) as given (tenant_id, account_id)
  join account a
    on a.tenant_id = given.tenant_id
   and a.account_id = coalesce(given.account_id, (
         select o.account_id from account o where o.tenant_id = given.tenant_id and o.kind = 'tenant'))
  left join lateral (
    select s.payment_method_id
      from payment_setting s
     where s.tenant_id = a.tenant_id and s.account_id = a.account_id
     order by s.sequence desc
     limit 1
  ) s on true
  left join payment_method m on m.tenant_id = a.tenant_id and m.payment_method_id = s.payment_method_id
