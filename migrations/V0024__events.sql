-- What businesses report of their own, as CloudEvents. An event is named for ever by its source and its id, which the primary key
-- holds; the time is no part of it. So the table is not partitioned by time: a repetition is to be found however late it comes.
-- An event is never changed. One that was wrong is corrected by another one, once; that one may be corrected in turn.
--
-- A reading is what a meter read of events: derived, so it may be thrown away and made again. Sums of a batch are added before
-- they are written, a row for each account, meter, hour and combination of dimensions; a correction takes back by a row below
-- zero. The other aggregations keep a row an event, which is removed when the event is corrected.

create table event (
  tenant_id    uuid        not null,
  source       text        collate "C" not null constraint event_source_length check (octet_length(source) between 1 and 200),
  id           text        collate "C" not null constraint event_id_length check (octet_length(id) between 1 and 200),
  account_id   uuid        not null,
  type         text        not null,
  occurred_at  timestamptz not null,
  data         text        not null constraint event_data_size check (octet_length(data) <= 8192),
  corrects     text        collate "C" constraint event_corrects_another check (corrects <> id),
  meters_known integer     not null,
  received_at  timestamptz not null,
  primary key (tenant_id, source, id)
);
create unique index event_is_corrected_once on event (tenant_id, source, corrects) where corrects is not null;
comment on column event.meters_known is 'the number of the last meter of the tenant that there was when the event came';

create trigger event_is_append_only before update or delete on event
  for each row execute function tuppence_refuse_change();
create trigger event_is_never_emptied before truncate on event
  for each statement execute function tuppence_refuse_change();

-- Accounts are never deleted, so it is enough to look once for as many rows as there are.
create function event_refuse_unknown_account() returns trigger
  language plpgsql
  set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set jit = off as $$
begin
  if exists (
    select from (select distinct tenant_id, account_id from new_rows) n
     where not exists (select from account a where a.tenant_id = n.tenant_id and a.account_id = n.account_id)
  ) then
    raise exception 'an event is about an account that does not exist'
      using errcode = 'foreign_key_violation', constraint = 'event_has_an_account';
  end if;
  return null;
end
$$;
create trigger event_is_of_known_account after insert on event
  referencing new table as new_rows for each statement execute function event_refuse_unknown_account();

alter table event enable row level security;
alter table event force row level security;
create policy event_of_tenant on event
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());
grant select, insert on event to tuppence_app;

create table reading (
  tenant_id  uuid        not null,
  account_id uuid        not null,
  meter      text        not null,
  hour       timestamptz not null constraint reading_hour_is_whole check (extract(epoch from hour)::bigint % 3600 = 0),
  reading_id bigint      not null generated always as identity,
  at         timestamptz not null,
  dimensions text[]      not null,
  quantity   bigint      not null,
  item       uuid,
  event      text        collate "C",
  primary key (tenant_id, account_id, meter, hour, reading_id),
  constraint reading_is_of_its_hour check (hour <= at and at < hour + interval '1 hour'),
  constraint reading_is_not_negative check (quantity >= 0 or event is not null)
);
comment on column reading.event is 'source and id of the only event behind it; null where many are added';
comment on column reading.item is 'what is told from others where different ones are counted: 128 bits of SHA-256';

alter table reading enable row level security;
alter table reading force row level security;
create policy reading_of_tenant on reading
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());
create policy reading_in_close on reading for select using (tuppence_closing());
grant select, insert, delete on reading to tuppence_app;
