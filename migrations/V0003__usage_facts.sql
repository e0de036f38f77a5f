-- How much was used. A fact is a counter, not an event: for a leg, a meter and an hour the greatest quantity that was
-- ever reported. So reports may be lost, repeated, reordered or sent again after a month, and the sum is the same; no
-- table of things already seen is needed.
--
-- Facts have no foreign key to their leg: a hub that was restored from a backup may know the usage of a leg whose row
-- it has lost, and usage is never refused for want of a name.
--
-- The table is partitioned by month, so that a month can be archived whole. Partitions are made ahead by a function,
-- as the application owns no table; what falls outside of them lands in the default partition and counts the same.

create table usage_fact (
  tenant_id     uuid        not null references tenant (tenant_id),
  leg_id        uuid        not null,
  meter         text        not null,
  hour          timestamptz not null,
  quantity      bigint      not null,
  first_seen_at timestamptz not null,
  updated_at    timestamptz not null,
  primary key (tenant_id, leg_id, meter, hour),
  constraint usage_fact_meter_known check (meter in ('participant_ms', 'egress_bytes')),
  constraint usage_fact_hour_is_whole check (extract(epoch from hour)::bigint % 3600 = 0),
  constraint usage_fact_quantity_counts_up check (quantity >= 0)
) partition by range (hour);
create index usage_fact_by_hour on usage_fact (tenant_id, hour, meter);

alter table usage_fact enable row level security;
alter table usage_fact force row level security;
create policy usage_fact_of_tenant on usage_fact
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());
grant select, insert, update on usage_fact to tuppence_app;

-- A fact that can never be recorded, such as one of a tenant that this database does not know, must neither be lost nor
-- hold up the facts behind it. It is set aside here with the reason, for a person to look at; greatest wins here, too.
create table refused_fact (
  tenant_id  uuid        not null,
  leg_id     uuid        not null,
  meter      text        not null,
  hour       timestamptz not null,
  quantity   numeric(20) not null,
  reason     text        not null,
  created_at timestamptz not null,
  primary key (tenant_id, leg_id, meter, hour),
  constraint refused_fact_quantity_counts_up check (quantity >= 0)
);

alter table refused_fact enable row level security;
alter table refused_fact force row level security;
create policy refused_fact_of_service on refused_fact
  using (tuppence_service()) with check (tuppence_service());
grant select, insert, update on refused_fact to tuppence_app;

-- Partitions can be named in a query, so they are as closed as their parent; the application has no rights on them.
create function tuppence_close_partition(partition regclass) returns void
  language plpgsql as $$
begin
  execute format('alter table %s enable row level security', partition);
  execute format('alter table %s force row level security', partition);
  execute format('create policy partition_of_tenant on %s using (tenant_id = tuppence_tenant())', partition);
end
$$;
revoke execute on function tuppence_close_partition from public;

create table usage_fact_default partition of usage_fact default;
select tuppence_close_partition('usage_fact_default');

-- Makes the partition of one month of one of our tables; false if the default partition holds rows of that month
-- already or somebody else just made it. Waits for nobody for long: what it misses lands in the default partition.
create function tuppence_make_partition(parent text, month date) returns boolean
  language plpgsql security definer set search_path = public, pg_temp set lock_timeout = '300ms' as $$
declare
  first date := date_trunc('month', month)::date;
  name text := format('%s_%s', parent, to_char(first, 'YYYY_MM'));
begin
  if parent not in ('usage_fact', 'charge') then
    raise exception 'there is no table % to partition by month', parent;
  end if;
  if to_regclass(name) is not null then
    return false;
  end if;
  -- A new partition locks its parent and what it references. A request may hold the tenant and want the parent, so the
  -- tenant comes first here too; and where two orders meet all the same, we give way before PostgreSQL's deadlock_timeout.
  lock table tenant in share row exclusive mode;
  execute format(
    'create table %I partition of %I for values from (%L) to (%L)',
    name, parent, first::timestamp at time zone 'UTC', (first + interval '1 month') at time zone 'UTC'
  );
  perform tuppence_close_partition(name::regclass);
  return true;
exception when check_violation or duplicate_table or lock_not_available then
  return false;
end
$$;
revoke execute on function tuppence_make_partition from public;
grant execute on function tuppence_make_partition to tuppence_app;
