-- An operator may want a node empty before it stops: the wish stands here, so that it outlasts a restart of the hub. How the
-- connected nodes stand is written beside it every two seconds, for whoever runs `tuppence nodes`. Both are new columns with
-- defaults that an older program does not touch.

alter table node
  add column draining_since timestamptz,
  add column seen_at     timestamptz,
  add column version     text    not null default '',
  add column rooms       integer not null default 0 constraint node_rooms_count check (rooms >= 0),
  add column legs        integer not null default 0 constraint node_legs_count check (legs >= 0),
  add column rooms_stuck integer not null default 0 constraint node_rooms_stuck_count check (rooms_stuck between 0 and rooms),
  add column legs_max    integer not null default 0 constraint node_legs_max_count check (legs_max >= 0),
  add column drains      boolean not null default false;
comment on column node.draining_since is 'since when the operator wants the node empty';
comment on column node.seen_at is 'when the hub last saw the node connected; what stands in the columns after it was so then';
comment on column node.rooms_stuck is 'those of its rooms for which no other node had places';
