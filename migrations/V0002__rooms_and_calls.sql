-- Who may speak for a tenant (members, their sessions, API keys), where people meet (rooms) and what happened there
-- (calls, participants, legs).
--
-- Secrets are never stored: a key, a session and a sign-in link are kept as the SHA-256 of their text, in hex. They are
-- 256 random bits, so a salt would add nothing, and the hash is what finds the row. Before the tenant is known, a
-- transaction sets `tuppence.presented` to such a hash (or `tuppence.presented_room` to a room's id, which a guest's link
-- carries) and sees exactly the row that it can already name.
--
-- A publishable key stands in a page for everyone to read, so its text may be stored and shown again.
-- Answers to requests with an Idempotency-Key are kept for ever: a retry after a year must still find the first one.
-- A leg's row is written before the page hears `joined`, so that a usage fact always finds its leg.
-- Every primary key leads with tenant_id, so that the tables can be spread by tenant.

create function tuppence_presented() returns text
  language sql stable
  return nullif(current_setting('tuppence.presented', true), '');

create function tuppence_presented_room() returns uuid
  language sql stable
  return nullif(current_setting('tuppence.presented_room', true), '')::uuid;

create table member (
  tenant_id  uuid        not null references tenant (tenant_id),
  member_id  uuid        not null,
  name       text        not null constraint member_name_length check (char_length(name) between 1 and 64),
  email      text        constraint member_email_length check (char_length(email) between 3 and 254),
  role       text        not null constraint member_role_known check (role in ('owner', 'admin', 'agent', 'finance')),
  created_at timestamptz not null,
  primary key (tenant_id, member_id)
);

create table sign_in_link (
  tenant_id  uuid        not null,
  link_hash  text        not null constraint sign_in_link_hash_is_sha256 check (link_hash ~ '^[0-9a-f]{64}$'),
  member_id  uuid        not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  used_at    timestamptz,
  primary key (tenant_id, link_hash),
  foreign key (tenant_id, member_id) references member (tenant_id, member_id),
  constraint sign_in_link_hash_unique unique (link_hash),
  constraint sign_in_link_expires_later check (expires_at > created_at)
);

create table console_session (
  tenant_id    uuid        not null,
  session_hash text        not null constraint console_session_hash_is_sha256 check (session_hash ~ '^[0-9a-f]{64}$'),
  member_id    uuid        not null,
  created_at   timestamptz not null,
  expires_at   timestamptz not null,
  revoked_at   timestamptz,
  primary key (tenant_id, session_hash),
  foreign key (tenant_id, member_id) references member (tenant_id, member_id),
  constraint console_session_hash_unique unique (session_hash),
  constraint console_session_expires_later check (expires_at > created_at)
);

create table api_key (
  tenant_id       uuid        not null references tenant (tenant_id),
  key_id          uuid        not null,
  kind            text        not null constraint api_key_kind_known check (kind in ('secret', 'publishable')),
  prefix          text        not null constraint api_key_prefix_length check (char_length(prefix) = 8),
  key_hash        text        not null constraint api_key_hash_is_sha256 check (key_hash ~ '^[0-9a-f]{64}$'),
  publishable_key text        constraint api_key_publishable_length check (char_length(publishable_key) <= 64),
  origins         text[]      not null default '{}' constraint api_key_origins_count check (cardinality(origins) <= 20),
  created_at      timestamptz not null,
  revoked_at      timestamptz,
  primary key (tenant_id, key_id),
  constraint api_key_hash_unique unique (key_hash),
  constraint api_key_secret_is_not_kept check (kind = 'publishable' or publishable_key is null)
);

create table idempotency_key (
  tenant_id    uuid        not null references tenant (tenant_id),
  key          text        not null constraint idempotency_key_is_visible check (key ~ '^[!-~]{1,255}$'),
  request_hash text        not null constraint idempotency_key_hash_is_sha256 check (request_hash ~ '^[0-9a-f]{64}$'),
  status       smallint    not null constraint idempotency_key_status_range check (status between 200 and 299),
  body         bytea       not null constraint idempotency_key_body_size check (octet_length(body) <= 1048576),
  sealed       boolean     not null,
  created_at   timestamptz not null,
  primary key (tenant_id, key)
);
comment on column idempotency_key.sealed is
  'the answer holds a secret and is encrypted with the credential of the request, which is not stored';

create table token_key (
  kid           text        not null constraint token_key_kid_length check (char_length(kid) = 43),
  private_pkcs8 bytea       not null constraint token_key_private_size check (octet_length(private_pkcs8) between 48 and 128),
  public_raw    bytea       not null constraint token_key_public_size check (octet_length(public_raw) = 32),
  created_at    timestamptz not null,
  retired_at    timestamptz,
  primary key (kid)
);

create table room (
  tenant_id        uuid        not null references tenant (tenant_id),
  room_id          uuid        not null,
  title            text        not null constraint room_title_length check (char_length(title) <= 120),
  participants_max integer     not null default 8 constraint room_participants_max_range check (participants_max between 1 and 64),
  guests           boolean     not null default true,
  created_at       timestamptz not null,
  closed_at        timestamptz,
  primary key (tenant_id, room_id),
  constraint room_id_unique unique (room_id)
);

create table call (
  tenant_id  uuid        not null,
  call_id    uuid        not null,
  room_id    uuid        not null,
  started_at timestamptz not null,
  ended_at   timestamptz,
  primary key (tenant_id, call_id),
  foreign key (tenant_id, room_id) references room (tenant_id, room_id),
  constraint call_ends_after_start check (ended_at >= started_at)
);
create index call_by_room on call (tenant_id, room_id);
create index call_live on call (tenant_id, call_id) where ended_at is null;

create table participant (
  tenant_id      uuid        not null,
  participant_id uuid        not null,
  call_id        uuid        not null,
  identity       text        not null constraint participant_identity_length check (char_length(identity) between 1 and 128),
  name           text        not null constraint participant_name_length check (char_length(name) <= 64),
  role           text        not null constraint participant_role_known check (role in ('participant', 'host')),
  joined_at      timestamptz,
  left_at        timestamptz,
  primary key (tenant_id, participant_id),
  foreign key (tenant_id, call_id) references call (tenant_id, call_id)
);
create index participant_by_call on participant (tenant_id, call_id);
comment on column participant.joined_at is 'the click; null while in the lobby';

create table leg (
  tenant_id          uuid        not null,
  leg_id             uuid        not null,
  participant_id     uuid        not null,
  call_id            uuid        not null,
  path               text        not null default 'sfu' constraint leg_path_known check (path in ('sfu', 'direct', 'relay')),
  node               text        not null constraint leg_node_length check (char_length(node) between 1 and 64),
  clock_offset_hours integer     not null default 0 constraint leg_clock_offset_forward check (clock_offset_hours >= 0),
  created_at         timestamptz not null,
  entered_at         timestamptz,
  ended_at           timestamptz,
  end_reason         text        constraint leg_end_reason_length check (char_length(end_reason) between 1 and 32),
  primary key (tenant_id, leg_id),
  foreign key (tenant_id, participant_id) references participant (tenant_id, participant_id),
  foreign key (tenant_id, call_id) references call (tenant_id, call_id)
);
create index leg_by_call on leg (tenant_id, call_id);
create index leg_by_participant on leg (tenant_id, participant_id);
create index leg_open on leg (tenant_id, leg_id) where ended_at is null;
comment on column leg.clock_offset_hours is 'the tenant''s test clock when the leg began, so that the keys of its usage stay the same';

-- A tenant sees its own rows and nothing else.
alter table member enable row level security;
alter table member force row level security;
create policy member_of_tenant on member
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());

alter table sign_in_link enable row level security;
alter table sign_in_link force row level security;
create policy sign_in_link_of_tenant on sign_in_link
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());
create policy sign_in_link_presented on sign_in_link for select
  using (link_hash = tuppence_presented());

alter table console_session enable row level security;
alter table console_session force row level security;
create policy console_session_of_tenant on console_session
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());
create policy console_session_presented on console_session for select
  using (session_hash = tuppence_presented());

alter table api_key enable row level security;
alter table api_key force row level security;
create policy api_key_of_tenant on api_key
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());
create policy api_key_presented on api_key for select
  using (key_hash = tuppence_presented());

alter table idempotency_key enable row level security;
alter table idempotency_key force row level security;
create policy idempotency_key_of_tenant on idempotency_key
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());

alter table token_key enable row level security;
alter table token_key force row level security;
create policy token_key_of_service on token_key
  using (tuppence_service()) with check (tuppence_service());

alter table room enable row level security;
alter table room force row level security;
create policy room_of_tenant on room
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());
create policy room_presented on room for select
  using (room_id = tuppence_presented_room());

alter table call enable row level security;
alter table call force row level security;
create policy call_of_tenant on call
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());

alter table participant enable row level security;
alter table participant force row level security;
create policy participant_of_tenant on participant
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());

alter table leg enable row level security;
alter table leg force row level security;
create policy leg_of_tenant on leg
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());

-- The application writes history forward: it deletes nothing.
grant select, insert, update on
  member, sign_in_link, console_session, api_key, token_key, room, call, participant, leg to tuppence_app;
grant select, insert on idempotency_key to tuppence_app;
