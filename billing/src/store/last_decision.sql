-- The number of the last decision about a subscription, 0 before the first. $1 tenant, $2 subscription
select coalesce(max(c.sequence), 0) as sequence
  from subscription_change c
 where c.tenant_id = $1 and c.subscription_id = $2
