-- The hours that a final line is made of. $1 tenant, $2 line
select c.hour, c.quantity, c.amount_micros, c.currency
  from charge c
 where c.tenant_id = $1 and c.line_id = $2
 order by c.hour
