-- A page of tenants in the order of their ids, with what tells whether a month of theirs has ended.
-- $1 after, $2 how many
select t.tenant_id, t.clock_offset_hours, a.last_final, a.first_start
  from tenant t
  left join lateral (
    select (select max(s.period_start) from statement s
             where s.tenant_id = a.tenant_id and s.account_id = a.account_id) as last_final,
           (select min(s.starts_at) from subscription s
             where s.tenant_id = a.tenant_id and s.account_id = a.account_id) as first_start
      from account a
     where a.tenant_id = t.tenant_id and a.kind = 'tenant'
     limit 1 -- there is one at most; the limit keeps the planner from reading every account before this page's, too
  ) a on true
 where t.tenant_id > $1
 order by t.tenant_id
 limit $2
