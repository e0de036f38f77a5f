-- The breakdown of a final statement. $1 tenant, $2 statement
select t.category, t.country, t.rate_millionths, t.prices_include_tax, t.reason, t.priced_micros, t.taxable_micros,
       t.tax_micros, t.currency
  from statement_tax t
 where t.tenant_id = $1 and t.statement_id = $2
 order by t.position
