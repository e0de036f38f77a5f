-- $1 the call
select
  u.leg_id, u.hour,
  coalesce(sum(u.quantity) filter (where u.meter = 'participant_ms'), 0)::bigint as participant_ms,
  coalesce(sum(u.quantity) filter (where u.meter = 'egress_bytes'), 0)::bigint as egress_bytes,
  coalesce(sum(u.quantity) filter (where u.meter = 'message_count'), 0)::bigint as message_count
from leg l
join usage_fact u on u.tenant_id = l.tenant_id and u.leg_id = l.leg_id
where l.tenant_id = tuppence_tenant() and l.call_id = $1
group by u.leg_id, u.hour
order by u.leg_id, u.hour
