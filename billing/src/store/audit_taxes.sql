-- The breakdowns of all final statements. $1 tenant
select t.statement_id, t.position, t.category, t.country, t.rate_millionths, t.prices_include_tax, t.priced_micros,
       t.taxable_micros, t.tax_micros, t.currency
  from statement_tax t
 where t.tenant_id = $1
 order by t.statement_id, t.position
