-- What was decided about subscriptions that were ever changed and that an account holds or pays, how each began included.
-- $1 tenant, $2 account
with changed as (
  select c.subscription_id
    from subscription_change c
   where c.tenant_id = $1
   group by c.subscription_id
  having bool_or(c.account_id = $2) or bool_or(c.payer_id = $2)
)
select s.subscription_id, 0 as sequence, s.starts_at as from_hour, 'active' as state, s.plan_version_id,
       s.account_id as payer_id, 0 as seats, 0 as rooms, 0 as mailboxes
  from changed join subscription s on s.tenant_id = $1 and s.subscription_id = changed.subscription_id
union all
select s.subscription_id, 0, s.ends_at, 'ended', s.plan_version_id, s.account_id, 0, 0, 0
  from changed join subscription s on s.tenant_id = $1 and s.subscription_id = changed.subscription_id
 where s.ends_at is not null
union all
select c.subscription_id, c.sequence, c.from_hour, c.state, c.plan_version_id, c.payer_id, c.seats, c.rooms, c.mailboxes
  from changed join subscription_change c on c.tenant_id = $1 and c.subscription_id = changed.subscription_id
