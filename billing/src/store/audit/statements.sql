-- Final statements of accounts, an account's oldest first. $1 tenants, $2 their accounts
select s.tenant_id, s.account_id, s.statement_id, s.legal_entity, s.series_number, s.number, s.period_start, s.period_end, s.currency,
       s.subtotal_micros, s.carried_in_micros, s.total_micros, s.carried_out_micros, s.tab_before_micros, s.tab_after_micros,
       s.tax_micros, s.tax_on_top_micros, s.credits_micros
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join statement s on s.tenant_id = a.tenant_id and s.account_id = a.account_id
 order by s.tenant_id, s.account_id, s.period_start
