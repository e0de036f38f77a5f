-- What final statements said about some months, whichever statement said it. $1 tenant, $2 account, $3 their first days
select l.subscription_id, l.price_id, l.month,
       coalesce(l.quantity, 0) as quantity, l.amount_micros, l.currency
  from statement_line l
  join statement s on s.tenant_id = l.tenant_id and s.statement_id = l.statement_id
 where l.tenant_id = $1 and s.account_id = $2
   and l.month = any ($3::date[])
