-- What was decided about subscriptions since they began, each in the order of its making.
-- $1 tenants, $2 their subscriptions
select c.tenant_id, c.subscription_id, c.from_hour, c.state, c.plan_version_id, c.payer_id, c.seats, c.rooms, c.mailboxes
  from (select distinct * from unnest($1::uuid[], $2::uuid[])) as s (tenant_id, subscription_id) -- two may pay the same one
  join subscription_change c on c.tenant_id = s.tenant_id and c.subscription_id = s.subscription_id
 order by c.tenant_id, c.subscription_id, c.sequence
