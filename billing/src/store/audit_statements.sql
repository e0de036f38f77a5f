-- An account's final statements, oldest first. $1 tenant, $2 account
select s.statement_id, s.legal_entity, s.series_number, s.number, s.period_start, s.period_end, s.currency,
       s.subtotal_micros, s.carried_in_micros, s.total_micros, s.carried_out_micros, s.tab_before_micros, s.tab_after_micros,
       s.tax_micros, s.tax_on_top_micros, s.credits_micros
  from statement s
 where s.tenant_id = $1 and s.account_id = $2
 order by s.period_start
