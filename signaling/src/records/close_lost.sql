-- Ends what a process that died left open: a leg ends where its usage ends. Run again when late usage has come in,
-- it moves those ends forward and changes nothing else.
-- $1 node, $2 when this process began
with lost as (
  select l.tenant_id, l.leg_id, l.participant_id, l.call_id,
         coalesce(l.entered_at + make_interval(secs => coalesce(used.ms, 0) / 1000.0), l.created_at) as ended_at
    from leg l
    left join lateral (
      select sum(f.quantity)::double precision as ms
        from usage_fact f
       where f.tenant_id = l.tenant_id and f.leg_id = l.leg_id and f.meter = 'participant_ms'
    ) as used on true
   where l.tenant_id = tuppence_tenant() and l.node = $1 and l.created_at < $2
     and (l.ended_at is null or (l.end_reason = 'server_lost' and l.created_at > $2 - interval '2 days'))
), ended_leg as (
  update leg l set ended_at = lost.ended_at, end_reason = 'server_lost'
    from lost
   where l.tenant_id = lost.tenant_id and l.leg_id = lost.leg_id and l.ended_at is distinct from lost.ended_at
), last_of_participant as (
  select tenant_id, participant_id, max(ended_at) as ended_at from lost group by tenant_id, participant_id
), ended_participant as (
  update participant p set left_at = greatest(p.joined_at, lost.ended_at)
    from last_of_participant lost
   where p.tenant_id = lost.tenant_id and p.participant_id = lost.participant_id
     and p.joined_at is not null and (p.left_at is null or p.left_at < lost.ended_at)
), last_of_call as (
  select tenant_id, call_id, max(ended_at) as ended_at from lost group by tenant_id, call_id
), ended_call as (
  update call c set ended_at = greatest(c.started_at, lost.ended_at)
    from last_of_call lost
   where c.tenant_id = lost.tenant_id and c.call_id = lost.call_id
     and (c.ended_at is null or c.ended_at < lost.ended_at)
)
select count(*) from lost
