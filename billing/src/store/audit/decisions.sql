-- What was decided about subscriptions that were ever changed and that an account holds or pays, how each began included.
-- $1 tenants, $2 their accounts
with changed as (
  select c.tenant_id, c.subscription_id
    from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
    join subscription_change c on c.tenant_id = a.tenant_id and c.account_id = a.account_id
  union
  select c.tenant_id, c.subscription_id
    from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
    join subscription_change c on c.tenant_id = a.tenant_id and c.payer_id = a.account_id
)
select s.tenant_id, s.subscription_id, 0 as sequence, s.starts_at as from_hour, 'active' as state, s.plan_version_id,
       s.account_id as payer_id, 0 as seats, 0 as rooms, 0 as mailboxes
  from changed n join subscription s on s.tenant_id = n.tenant_id and s.subscription_id = n.subscription_id
union all
select s.tenant_id, s.subscription_id, 0, s.ends_at, 'ended', s.plan_version_id, s.account_id, 0, 0, 0
  from changed n join subscription s on s.tenant_id = n.tenant_id and s.subscription_id = n.subscription_id
 where s.ends_at is not null
union all
select c.tenant_id, c.subscription_id, c.sequence, c.from_hour, c.state, c.plan_version_id, c.payer_id, c.seats, c.rooms,
       c.mailboxes
  from changed n join subscription_change c on c.tenant_id = n.tenant_id and c.subscription_id = n.subscription_id
