-- How many other rooms of the tenant are in use. $1 room
select count(distinct c.room_id) as rooms
  from call c
 where c.tenant_id = tuppence_tenant() and c.ended_at is null and c.room_id <> $1
