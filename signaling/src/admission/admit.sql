-- Looks the room up and writes the rows behind a leg, in one statement, or none of them if the room is not open.
-- $1 room, $2 call, $3 participant, $4 identity, $5 name, $6 role, $7 leg, $8 node, $9 now
with open_room as (
  select r.tenant_id, r.room_id, r.title, r.participants_max, t.clock_offset_hours
    from room r join tenant t using (tenant_id)
   where r.tenant_id = tuppence_tenant() and r.room_id = $1 and r.closed_at is null
), new_call as (
  -- Pages that arrive together bring the same call; its start is corrected at the first click.
  insert into call (tenant_id, call_id, room_id, started_at)
  select tenant_id, $2, room_id, $9 from open_room
  on conflict (tenant_id, call_id) do nothing
), new_participant as (
  -- Whoever comes back is the participant that they were.
  insert into participant (tenant_id, participant_id, call_id, identity, name, role)
  select tenant_id, $3, $2, $4, $5, $6 from open_room
  on conflict (tenant_id, participant_id) do nothing
), new_leg as (
  insert into leg (tenant_id, leg_id, participant_id, call_id, path, node, clock_offset_hours, created_at)
  select tenant_id, $7, $3, $2, 'sfu', $8, clock_offset_hours, $9 from open_room
)
select title, participants_max from open_room
