-- The breakdowns of all final statements. $1 tenants, $2 their accounts
select t.tenant_id, t.statement_id, t.position, t.category, t.country, t.rate_millionths, t.prices_include_tax,
       t.priced_micros, t.taxable_micros, t.tax_micros, t.currency
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join statement_tax t on t.tenant_id = a.tenant_id
 order by t.tenant_id, t.statement_id, t.position
