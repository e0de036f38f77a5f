-- A page of tenants in the order of their ids, with what tells whether a month of theirs has ended.
-- $1 after, $2 how many
select t.tenant_id, t.clock_offset_hours, a.last_final, a.first_start
  from tenant t
  left join lateral (
    select f.last_final,
           case when f.last_final is null then (
             select min(s.starts_at) from subscription s
              where s.tenant_id = o.tenant_id and s.account_id = o.account_id
           ) end as first_start -- counts until there is a final month, and only then
      from account o
     cross join lateral (
       select max(s.period_start) as last_final from statement s
        where s.tenant_id = o.tenant_id and s.account_id = o.account_id
     ) f
     where o.tenant_id = t.tenant_id and o.kind = 'tenant'
     limit 1 -- there is one at most; the limit keeps the planner from reading every account before this page's, too
  ) a on true
 where t.tenant_id > $1
 order by t.tenant_id
 limit $2
