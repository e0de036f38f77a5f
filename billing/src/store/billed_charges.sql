-- What has been charged for a price in each hour of a stretch, by any line. $1 tenant, $2 subscription, $3 price,
-- $4 from, $5 to
select c.hour, sum(c.quantity)::bigint as quantity, sum(c.amount_micros)::bigint as amount_micros
  from charge c
 where c.tenant_id = $1 and c.subscription_id = $2 and c.price_id = $3 and $4 <= c.hour and c.hour < $5
 group by c.hour
 order by c.hour
