insert into statement (
  tenant_id, account_id, statement_id, legal_entity, series_number, number, period_start, period_end, as_of, currency,
  subtotal_micros, carried_in_micros, total_micros, carried_out_micros, tab_before_micros,
  tab_after_micros, collect_decision, collect_why, finalized_at
) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
