-- $1 live, ended or (null) both; $2 only calls before this id; $3 how many at most
select c.call_id, c.room_id, r.title, c.started_at, c.ended_at
from call c
join room r using (tenant_id, room_id)
where c.tenant_id = tuppence_tenant()
  and ($1::boolean is null or (c.ended_at is null) = $1)
  and ($2::uuid is null or c.call_id < $2)
  and exists (
    -- somebody has entered: an empty lobby is no call yet
    select from participant p
    where p.tenant_id = c.tenant_id and p.call_id = c.call_id and p.joined_at is not null
  )
order by c.call_id desc
limit $3
