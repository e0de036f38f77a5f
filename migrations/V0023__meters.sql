-- What a business counts itself. A meter listens to CloudEvents of one type; how their values become a quantity, which of them
-- count and what they can be grouped by is said when the meter is made, and never changes: what was counted stays what it
-- was. Prices name a meter as they name a built-in one.
--
-- Meters of a business are numbered in the order of their making. An event keeps the number of the last meter that was there
-- when it came, so that a meter counts what comes after it and nothing from before.

create table meter (
  tenant_id      uuid        not null references tenant (tenant_id),
  number         integer     not null constraint meter_counts_from_one check (number >= 1),
  name           text        not null constraint meter_name_is_plain check (
                   name ~ '^[a-z][a-z0-9_]{0,31}$' and name not in ('participant_ms', 'egress_bytes', 'message_count')),
  unit           text        not null constraint meter_unit_length check (char_length(unit) between 1 and 40),
  event_type     text        not null constraint meter_event_type_length check (char_length(event_type) between 1 and 128),
  aggregation    text        not null constraint meter_aggregation_known check (
                   aggregation in ('sum', 'maximum', 'latest', 'unique_count', 'time_weighted_sum')),
  value_property text        constraint meter_value_property_length check (char_length(value_property) between 1 and 64),
  filters        jsonb       not null constraint meter_filters_are_a_list check (jsonb_typeof(filters) = 'array'),
  dimensions     text[]      not null constraint meter_dimensions_count check (cardinality(dimensions) <= 5),
  created_at     timestamptz not null,
  primary key (tenant_id, name),
  constraint meter_number_unique unique (tenant_id, number),
  constraint meter_only_sums_count_events check (value_property is not null or aggregation = 'sum')
);

create trigger meter_is_append_only before update or delete on meter
  for each row execute function tuppence_refuse_change();
create trigger meter_is_never_emptied before truncate on meter
  for each statement execute function tuppence_refuse_change();

alter table meter enable row level security;
alter table meter force row level security;
create policy meter_of_tenant on meter
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());
create policy meter_in_close on meter for select using (tuppence_closing());
grant select, insert on meter to tuppence_app;

-- A price looks at a built-in meter, or at one of the business that made the price.
create function price_refuse_unknown_meter() returns trigger
  language plpgsql as $$
begin
  if not exists (select from meter m where m.tenant_id = new.tenant_id and m.name = new.meter) then
    raise exception 'there is no meter %', new.meter
      using errcode = 'foreign_key_violation', constraint = 'price_meter_known';
  end if;
  return new;
end
$$;
alter table price drop constraint price_meter_known;
create trigger price_is_of_known_meter before insert on price
  for each row when (new.meter not in ('participant_ms', 'egress_bytes', 'message_count'))
  execute function price_refuse_unknown_meter();
