-- What has been charged, by any line, for the prices that adjustments are about, in each hour of the months that they adjust. No
-- statement from before a month has lines of it. A column each: $1 tenants, $2 the adjusting lines, $3 subscriptions, $4 prices,
-- $5 from, $6 to
select w.line_id, c.hour, c.currency, sum(c.quantity)::bigint as quantity, sum(c.amount_micros)::bigint as amount_micros
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::timestamptz[], $6::timestamptz[])
       as w (tenant_id, line_id, subscription_id, price_id, month_start, month_end)
  join statement s on s.tenant_id = w.tenant_id and s.period_start >= w.month_start
  join statement_line l
    on l.tenant_id = s.tenant_id and l.statement_id = s.statement_id and l.subscription_id = w.subscription_id
   and l.price_id = w.price_id and l.month = (w.month_start at time zone 'UTC')::date
  join charge c on c.tenant_id = l.tenant_id and c.line_id = l.line_id and w.month_start <= c.hour and c.hour < w.month_end
 group by w.line_id, c.hour, c.currency
 order by w.line_id, c.hour
