-- All decisions about the subscriptions that an account holds, oldest subscription first, each in the order of their
-- making. $1 tenant, $2 account
select d.*
  from subscription s
 cross join lateral (
    select s.subscription_id, s.account_id, s.starts_at as first_hour, s.created_at as began_at, 0 as sequence,
           s.starts_at as from_hour, 'active' as state, s.plan_version_id, s.account_id as payer_id,
           0 as seats, 0 as rooms, 0 as mailboxes
    union all
    select s.subscription_id, s.account_id, s.starts_at, s.created_at, 0, s.ends_at, 'ended', s.plan_version_id,
           s.account_id, 0, 0, 0
     where s.ends_at is not null
    union all
    select c.subscription_id, s.account_id, s.starts_at, s.created_at, c.sequence, c.from_hour, c.state,
           c.plan_version_id, c.payer_id, c.seats, c.rooms, c.mailboxes
      from subscription_change c
     where c.tenant_id = s.tenant_id and c.subscription_id = s.subscription_id
  ) d
 where s.tenant_id = $1 and s.account_id = $2
 order by d.first_hour, d.subscription_id, d.sequence, d.from_hour
