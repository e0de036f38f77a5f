-- $1 tenant, $2 statement
select l.line_id, l.kind, l.description, l.meter, l.quantity, l.unit, l.unit_size, l.included, l.rate_micros,
       l.amount_micros, l.currency, l.month, l.subscription_id,
       l.price_id, l.vendor_id, l.tax_group, l.coupon_id, l.discounts
  from statement_line l
 where l.tenant_id = $1 and l.statement_id = $2
 order by l.position
