-- The hours of all lines that keep them. $1 tenant
select c.line_id, c.hour, c.quantity, c.amount_micros, c.currency
  from charge c
 where c.tenant_id = $1
 order by c.line_id, c.hour
