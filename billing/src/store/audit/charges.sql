-- The hours of all lines that keep them. $1 tenants, $2 their accounts
select c.tenant_id, c.line_id, c.hour, c.quantity, c.amount_micros, c.currency
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join charge c on c.tenant_id = a.tenant_id
 order by c.tenant_id, c.line_id, c.hour
