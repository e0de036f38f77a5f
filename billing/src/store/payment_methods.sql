-- The ways to pay of an account, newest first. $1 tenant, $2 account
select m.payment_method_id, m.processor, m.rail, m.label, m.created_at
  from payment_method m
 where m.tenant_id = $1 and m.account_id = $2
 order by m.payment_method_id desc
 limit 50
