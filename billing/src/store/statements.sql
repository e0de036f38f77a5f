-- A tenant's final statements, newest first. $1 tenant
select s.statement_id, s.account_id, s.number, s.period_start, s.period_end, s.total_micros, s.currency, s.finalized_at
  from statement s
 where s.tenant_id = $1
 order by s.period_start desc
