-- What final statements said about some months, whichever statement said it: none from before the month does.
-- $1 tenants, $2 their accounts, $3 first days of months of theirs
select l.tenant_id, m.account_id, l.subscription_id, l.price_id, l.month,
       coalesce(l.quantity, 0) as quantity, l.amount_micros, l.currency
  from unnest($1::uuid[], $2::uuid[], $3::date[]) as m (tenant_id, account_id, month)
  join statement s
    on s.tenant_id = m.tenant_id and s.account_id = m.account_id and s.period_start >= m.month::timestamp at time zone 'UTC'
  join statement_line l
    on l.tenant_id = s.tenant_id and l.statement_id = s.statement_id and l.month = m.month and l.kind <> 'discount'
