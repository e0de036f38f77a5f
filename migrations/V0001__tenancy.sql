-- Who sees what. A business is a tenant, and a mistake in a query must not show it another's rows, so the database
-- itself keeps them apart: every table has row-level security that binds even its owner. The service works as the
-- role tuppence_app, which owns nothing and can switch nothing off, and says at the start of each transaction for whom
-- it works: `set local tuppence.tenant` to a tenant's id, or `set local tuppence.scope` to 'service' for what belongs
-- to no tenant. A transaction that says neither sees no row at all.
--
-- The role belongs to the whole cluster, and several databases may be migrated at once, hence the exceptions.

do $$
begin
  if not exists (select from pg_roles where rolname = 'tuppence_app') then
    create role tuppence_app nologin;
  end if;
exception when duplicate_object or unique_violation then
  null;
end
$$;

do $$
begin
  if exists (select from pg_roles where rolname = 'tuppence_app' and (rolsuper or rolbypassrls or rolcanlogin)) then
    raise exception 'the role tuppence_app must not log in, be a superuser or bypass row-level security';
  end if;
  -- Since version 16 a role can be a member without the right to become it.
  if not pg_has_role(
    current_user, 'tuppence_app', case when current_setting('server_version_num')::int < 160000 then 'member' else 'set' end
  ) then
    execute format('grant tuppence_app to %I', current_user);
  end if;
end
$$;

create function tuppence_tenant() returns uuid
  language sql stable
  return nullif(current_setting('tuppence.tenant', true), '')::uuid;

create function tuppence_service() returns boolean
  language sql stable
  return coalesce(current_setting('tuppence.scope', true) = 'service', false);

-- Rows that are history are written once. The privilege is missing already; the trigger stops the owner's hand, too.
create function tuppence_refuse_change() returns trigger
  language plpgsql as $$
begin
  raise exception '% is append-only: write a correction instead', tg_table_name
    using errcode = 'restrict_violation', constraint = tg_table_name || '_is_append_only';
end
$$;

create table tenant (
  tenant_id          uuid        not null,
  name               text        not null constraint tenant_name_length check (char_length(name) between 1 and 120),
  sandbox            boolean     not null,
  clock_offset_hours integer     not null default 0,
  created_at         timestamptz not null,
  primary key (tenant_id),
  constraint tenant_clock_offset_forward check (clock_offset_hours >= 0),
  constraint tenant_clock_offset_in_sandbox_only check (sandbox or clock_offset_hours = 0)
);
comment on column tenant.clock_offset_hours is 'how far a sandbox tenant''s time has been advanced; it never goes back';

alter table tenant enable row level security;
alter table tenant force row level security;
create policy tenant_itself on tenant
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());
create policy tenant_list_for_jobs on tenant for select
  using (tuppence_service());

grant select, insert, update on tenant to tuppence_app;
