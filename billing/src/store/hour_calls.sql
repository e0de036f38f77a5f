-- Who used a meter in an hour, call by call. $1 tenant, $2 meter, $3 hour
select c.call_id, r.title as room_title, c.started_at, c.ended_at, p.participant_id, p.name,
       sum(f.quantity)::bigint as quantity
  from usage_fact f
  join leg l on l.tenant_id = f.tenant_id and l.leg_id = f.leg_id
  join participant p on p.tenant_id = l.tenant_id and p.participant_id = l.participant_id
  join call c on c.tenant_id = l.tenant_id and c.call_id = l.call_id
  join room r on r.tenant_id = c.tenant_id and r.room_id = c.room_id
 where f.tenant_id = $1 and f.meter = $2 and f.hour = $3 and f.quantity > 0
 group by c.call_id, r.title, c.started_at, c.ended_at, p.participant_id, p.name
 order by c.started_at, c.call_id, p.participant_id
