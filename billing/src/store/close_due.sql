-- A page of accounts in the order of tenant and id, with what tells whether a month of theirs has ended. $1 and $2 after which,
-- $3 how many
select a.tenant_id, a.account_id, t.clock_offset_hours, f.last_final,
       case when f.last_final is null then least(
         -- What it holds, unless somebody else has paid it from its first hour on
         (select min(s.starts_at)
            from subscription s
           where s.tenant_id = a.tenant_id and s.account_id = a.account_id
             and not exists (select from subscription_change c
                              where c.tenant_id = s.tenant_id and c.subscription_id = s.subscription_id
                                and c.from_hour = s.starts_at and c.payer_id <> s.account_id)),
         (select min(c.from_hour)
            from subscription_change c
           where c.tenant_id = a.tenant_id and c.payer_id = a.account_id)
       ) end as first_start -- counts until there is a final month, and only then
  from account a
  join tenant t on t.tenant_id = a.tenant_id and t.tenant_id >= $1 -- or a merge join would read all tenants before this page's, too
 cross join lateral (
   select max(s.period_start) as last_final from statement s
    where s.tenant_id = a.tenant_id and s.account_id = a.account_id
 ) f
 where (a.tenant_id, a.account_id) > ($1, $2)
 order by a.tenant_id, a.account_id
 limit $3
