-- An account's final statements, newest first. $1 tenant, $2 account; the tenant's own where none is named
select s.statement_id, s.account_id, s.number, s.period_start, s.period_end, s.total_micros, s.currency, s.finalized_at
  from statement s
 where s.tenant_id = $1
   and s.account_id = coalesce($2::uuid, (select o.account_id from account o where o.tenant_id = $1 and o.kind = 'tenant'))
 order by s.period_start desc
