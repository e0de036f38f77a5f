-- One final statement. $1 tenant, $2 statement
select s.statement_id, s.number, s.account_id, a.name, s.period_start, s.period_end, s.as_of, s.currency,
       s.subtotal_micros, s.carried_in_micros, s.total_micros, s.carried_out_micros, s.tab_before_micros,
       s.tab_after_micros, s.collect_decision, s.collect_why, s.finalized_at, s.tax_micros, s.credits_micros
  from statement s
  join account a on a.tenant_id = s.tenant_id and a.account_id = s.account_id
 where s.tenant_id = $1 and s.statement_id = $2
