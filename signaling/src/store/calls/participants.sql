-- $1 the calls
select
  p.call_id, p.participant_id, p.name, p.joined_at, p.left_at,
  coalesce(sum(u.quantity) filter (where u.meter = 'participant_ms'), 0)::bigint as participant_ms,
  coalesce(sum(u.quantity) filter (where u.meter = 'egress_bytes'), 0)::bigint as egress_bytes,
  coalesce(sum(u.quantity) filter (where u.meter = 'message_count'), 0)::bigint as message_count
from participant p
left join leg l on l.tenant_id = p.tenant_id and l.participant_id = p.participant_id and l.call_id = p.call_id
left join usage_fact u on u.tenant_id = l.tenant_id and u.leg_id = l.leg_id
where p.tenant_id = tuppence_tenant()
  and p.call_id = any($1)
  and p.joined_at is not null
group by p.tenant_id, p.participant_id
order by p.joined_at, p.participant_id
