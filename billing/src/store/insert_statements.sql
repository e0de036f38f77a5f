-- $1 legal entity, then a column each: $2 tenants, $3 accounts, $4 statements, $5 places in the series, $6 numbers,
-- $7 and $8 the months' bounds, $9 as of, $10 currencies, $11 to $16 micros, $17 and $18 what happens to the tab and why,
-- $19 when, $20 and $21 micros of tax, all and on top, $22 micros paid by credits
insert into statement (
  tenant_id, account_id, statement_id, legal_entity, series_number, number, period_start, period_end, as_of, currency,
  subtotal_micros, carried_in_micros, total_micros, carried_out_micros, tab_before_micros,
  tab_after_micros, collect_decision, collect_why, finalized_at, tax_micros, tax_on_top_micros,
  credits_micros
)
select s.tenant_id, s.account_id, s.statement_id, $1::text, s.series_number, s.number, s.period_start, s.period_end,
       s.as_of, s.currency, s.subtotal, s.carried_in, s.total, s.carried_out, s.tab_before, s.tab_after, s.decision,
       s.why, s.finalized_at, s.tax, s.tax_on_top, s.credits
  from unnest(
    $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::text[], $7::timestamptz[], $8::timestamptz[],
    $9::timestamptz[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[],
    $16::bigint[], $17::text[], $18::text[], $19::timestamptz[],
    $20::bigint[], $21::bigint[], $22::bigint[]
  ) as s (
    tenant_id, account_id, statement_id, series_number, number, period_start, period_end,
    as_of, currency, subtotal, carried_in, total, carried_out, tab_before,
    tab_after, decision, why, finalized_at, tax, tax_on_top, credits
  )
