-- Warnings of a tenant, newest first. $1 tenant, $2 how many
select w.cap_id, w.month, w.percent, w.spent_micros, c.currency, w.warned_at
  from cap_warning w
  join spending_cap c on c.tenant_id = w.tenant_id and c.cap_id = w.cap_id
 where w.tenant_id = $1
 order by w.warned_at desc, w.percent desc, w.cap_id
 limit $2
