-- Marks months that were final when readings of them came; a level lasts, so it changes the months after it, too.
-- $1 tenant, $2 now, then a column each: $3 accounts, $4 hours, $5 whether it lasts
insert into late_month (tenant_id, account_id, month, created_at)
select distinct s.tenant_id, s.account_id, (s.period_start at time zone 'UTC')::date, $2::timestamptz
  from unnest($3::uuid[], $4::timestamptz[], $5::boolean[]) as r (account_id, hour, lasts)
  join statement s on s.tenant_id = $1 and s.account_id = r.account_id
   and r.hour < s.period_end and (r.lasts or s.period_start <= r.hour)
 order by 3
on conflict do nothing
