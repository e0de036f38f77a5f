-- A population whose October can be closed: $ACCOUNTS businesses with three subscriptions each (metered, 5 cents, 25 cents)
-- of two vendors, $FACTS usage facts each, and a card to pay with. Run as the superuser.
set session_replication_role = replica; -- the rows below fit together
insert into vendor values ('00000000-0000-0000-0000-0000000000b1', 'Mailbox', '2026-01-01Z');
insert into plan values
  ('00000000-0000-0000-0000-0000000000c1', '0199c000-0000-7000-8000-000000000001', 'Minutes', '2026-01-01Z'),
  ('00000000-0000-0000-0000-0000000000c2', '00000000-0000-0000-0000-0000000000b1', 'Mailbox', '2026-01-01Z'),
  ('00000000-0000-0000-0000-0000000000c3', '00000000-0000-0000-0000-0000000000b1', 'Archive', '2026-01-01Z');
insert into plan_version values
  ('00000000-0000-0000-0000-0000000000d1', '00000000-0000-0000-0000-0000000000c1', 1, 'USD', '2026-01-01Z'),
  ('00000000-0000-0000-0000-0000000000d2', '00000000-0000-0000-0000-0000000000c2', 1, 'USD', '2026-01-01Z'),
  ('00000000-0000-0000-0000-0000000000d3', '00000000-0000-0000-0000-0000000000c3', 1, 'USD', '2026-01-01Z');
insert into price (price_id, plan_version_id, position, description, meter, unit, unit_size, tier_up_to, tier_rate_micros, created_at) values
  ('00000000-0000-0000-0000-0000000000e1', '00000000-0000-0000-0000-0000000000d1', 1, 'Participant-minutes, 100 a month included',
   'participant_ms', 'participant-minute', 60000, '{6000000}', '{0,50000}', '2026-01-01Z'),
  ('00000000-0000-0000-0000-0000000000e2', '00000000-0000-0000-0000-0000000000d2', 1, 'A mailbox', null, 'month', 1, '{}', '{5000000}', '2026-01-01Z'),
  ('00000000-0000-0000-0000-0000000000e3', '00000000-0000-0000-0000-0000000000d3', 1, 'An archive', null, 'month', 1, '{}', '{25000000}', '2026-01-01Z');
insert into tenant (tenant_id, name, sandbox, created_at)
select md5(i::text)::uuid, 'Business ' || i, false, '2026-09-20T10:00Z' from generate_series(1, $ACCOUNTS) i;
insert into account (tenant_id, account_id, kind, name, currency, created_at)
select md5(i::text)::uuid, md5('account' || i)::uuid, 'tenant', 'Business ' || i, 'USD', '2026-09-20T10:00Z'
  from generate_series(1, $ACCOUNTS) i;
insert into payment_method (tenant_id, account_id, payment_method_id, processor, rail, token, label, created_at)
select md5(i::text)::uuid, md5('account' || i)::uuid, md5('card' || i)::uuid, 'sandbox', 'card', 'sandbox_succeeds', 'Card', '2026-09-20T10:00Z'
  from generate_series(1, $ACCOUNTS) i;
insert into payment_setting (tenant_id, account_id, sequence, payment_method_id, created_at)
select md5(i::text)::uuid, md5('account' || i)::uuid, 1, md5('card' || i)::uuid, '2026-09-20T10:00Z'
  from generate_series(1, $ACCOUNTS) i;
insert into subscription (tenant_id, account_id, subscription_id, plan_version_id, starts_at, created_at)
select md5(i::text)::uuid, md5('account' || i)::uuid, md5(i || 'on' || p)::uuid,
       ('00000000-0000-0000-0000-0000000000d' || p)::uuid, timestamptz '2026-10-01Z' + (i % 200) * interval '1 hour', '2026-10-01Z'
  from generate_series(1, $ACCOUNTS) i, generate_series(1, 3) p;
insert into room (tenant_id, room_id, title, created_at)
select md5(i::text)::uuid, md5('room' || i)::uuid, 'Office', '2026-10-09Z' from generate_series(1, $ACCOUNTS) i;
insert into call (tenant_id, call_id, room_id, started_at)
select md5(i::text)::uuid, md5('call' || i)::uuid, md5('room' || i)::uuid, '2026-10-09Z' from generate_series(1, $ACCOUNTS) i;
insert into participant (tenant_id, participant_id, call_id, identity, name, role)
select md5(i::text)::uuid, md5('participant' || i)::uuid, md5('call' || i)::uuid, 'ada', 'Ada', 'participant'
  from generate_series(1, $ACCOUNTS) i;
insert into leg (tenant_id, leg_id, participant_id, call_id, node, created_at)
select md5(i::text)::uuid, md5('leg' || i)::uuid, md5('participant' || i)::uuid, md5('call' || i)::uuid, 'local', '2026-10-09Z'
  from generate_series(1, $ACCOUNTS) i;
select tuppence_make_partition('usage_fact', '2026-10-01'), tuppence_make_partition('charge', '2026-10-01');
insert into usage_fact (tenant_id, leg_id, meter, hour, quantity, first_seen_at, updated_at)
select md5(i::text)::uuid, md5('leg' || i)::uuid, 'participant_ms',
       timestamptz '2026-10-09Z' + ((i * 7 + f * 61) % 500) * interval '1 hour', 60000 * (5 + (i + f) % 50), '2026-10-09Z', '2026-10-09Z'
  from generate_series(1, $FACTS) f, generate_series(1, $ACCOUNTS) i;
set session_replication_role = origin;
