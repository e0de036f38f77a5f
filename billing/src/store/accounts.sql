-- The accounts that tenants themselves pay with, and how: by what they said last. $1 tenants
select a.tenant_id, a.account_id, a.name, a.currency, a.has_terms, m.rail
  from account a
  left join lateral (
    select s.payment_method_id
      from payment_setting s
     where s.tenant_id = a.tenant_id and s.account_id = a.account_id
     order by s.sequence desc
     limit 1
  ) s on true
  left join payment_method m on m.tenant_id = a.tenant_id and m.payment_method_id = s.payment_method_id
 where a.tenant_id = any ($1::uuid[]) and a.kind = 'tenant'
