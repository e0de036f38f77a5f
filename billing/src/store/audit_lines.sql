-- The lines of all final statements. $1 tenant
select l.statement_id, l.line_id, l.kind, l.subscription_id, l.price_id, l.vendor_id, l.quantity, l.amount_micros,
       l.currency, l.month, l.tax_group, l.coupon_id, l.discounts
  from statement_line l
 where l.tenant_id = $1
 order by l.statement_id, l.position
