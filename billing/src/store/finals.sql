-- An account's final statements in short, oldest first. $1 tenant, $2 account
select s.period_start, s.total_micros, s.carried_out_micros, s.currency
  from statement s
 where s.tenant_id = $1 and s.account_id = $2
 order by s.period_start
