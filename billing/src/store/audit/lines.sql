-- The lines of all final statements. $1 tenants, $2 their accounts
select l.tenant_id, l.statement_id, l.line_id, l.kind, l.subscription_id, l.price_id, l.vendor_id, l.quantity,
       l.amount_micros, l.currency, l.month, l.tax_group, l.coupon_id, l.discounts
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join statement_line l on l.tenant_id = a.tenant_id
 order by l.tenant_id, l.statement_id, l.position
