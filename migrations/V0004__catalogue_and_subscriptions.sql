-- What is sold, who pays, and what an hour of it came to.
--
-- A vendor sells plans. What a plan costs is a version of it, and a version with its prices never changes: whoever
-- subscribed to it pays what was written then. A price is either so much a month or so much for what a meter counts,
-- by graduated tiers whose last has no end, which is why there is one rate more than there are bounds. A free first
-- tier is an allowance.
--
-- An account is a payer, a subscription an account on a plan version from an hour to an hour. Charges are derived from
-- facts; they are kept when a statement becomes final, so that its lines can be taken apart into the hours that made
-- them even when later facts tell more.

create table vendor (
  vendor_id    uuid        not null,
  name         text        not null constraint vendor_name_length check (char_length(name) between 1 and 120),
  created_at   timestamptz not null,
  primary key (vendor_id)
);

create table plan (
  plan_id    uuid        not null,
  vendor_id  uuid        not null references vendor (vendor_id),
  name       text        not null constraint plan_name_length check (char_length(name) between 1 and 120),
  created_at timestamptz not null,
  primary key (plan_id)
);

create table plan_version (
  plan_version_id uuid        not null,
  plan_id         uuid        not null references plan (plan_id),
  version         integer     not null constraint plan_version_counts_from_one check (version >= 1),
  currency        char(3)     not null constraint plan_version_currency_is_iso check (currency ~ '^[A-Z]{3}$'),
  created_at      timestamptz not null,
  primary key (plan_version_id),
  constraint plan_version_unique unique (plan_id, version)
);

create table price (
  price_id         uuid        not null,
  plan_version_id  uuid        not null references plan_version (plan_version_id),
  position         integer     not null,
  description      text        not null constraint price_description_length check (char_length(description) between 1 and 200),
  meter            text        constraint price_meter_known check (meter in ('participant_ms', 'egress_bytes')),
  unit             text        not null constraint price_unit_length check (char_length(unit) between 1 and 40),
  unit_size        bigint      not null constraint price_unit_size_counts check (unit_size >= 1),
  tier_up_to       bigint[]    not null default '{}',
  tier_rate_micros bigint[]    not null,
  created_at       timestamptz not null,
  primary key (price_id),
  constraint price_position_unique unique (plan_version_id, position),
  constraint price_last_tier_has_no_end check (cardinality(tier_rate_micros) = cardinality(tier_up_to) + 1),
  constraint price_never_falls check (0 <= all (tier_rate_micros)),
  constraint price_recurring_has_one_rate check (meter is not null or cardinality(tier_up_to) = 0)
);
comment on column price.meter is 'null: so much a month, by the hour';
comment on column price.tier_up_to is 'in the meter''s own unit, rising; the last tier has no end and no element here';
comment on column price.tier_rate_micros is 'micros for each unit within the tier';

create trigger plan_version_is_append_only before update or delete on plan_version
  for each row execute function tuppence_refuse_change();
create trigger price_is_append_only before update or delete on price
  for each row execute function tuppence_refuse_change();

create table account (
  tenant_id  uuid        not null references tenant (tenant_id),
  account_id uuid        not null,
  kind       text        not null constraint account_kind_known check (kind in ('tenant', 'person')),
  name       text        not null constraint account_name_length check (char_length(name) between 1 and 120),
  currency   char(3)     not null constraint account_currency_is_iso check (currency ~ '^[A-Z]{3}$'),
  created_at timestamptz not null,
  primary key (tenant_id, account_id)
);
create unique index account_of_tenant_itself on account (tenant_id) where kind = 'tenant';

create table subscription (
  tenant_id       uuid        not null,
  account_id      uuid        not null,
  subscription_id uuid        not null,
  plan_version_id uuid        not null references plan_version (plan_version_id),
  starts_at       timestamptz not null,
  ends_at         timestamptz,
  created_at      timestamptz not null,
  primary key (tenant_id, account_id, subscription_id),
  foreign key (tenant_id, account_id) references account (tenant_id, account_id),
  constraint subscription_starts_on_the_hour check (extract(epoch from starts_at)::bigint % 3600 = 0),
  constraint subscription_ends_on_the_hour check (extract(epoch from ends_at)::bigint % 3600 = 0),
  constraint subscription_ends_after_start check (ends_at > starts_at)
);

create table charge (
  tenant_id       uuid        not null references tenant (tenant_id),
  line_id         uuid        not null,
  hour            timestamptz not null,
  subscription_id uuid        not null,
  price_id        uuid        not null references price (price_id),
  quantity        bigint      not null,
  amount_micros   bigint      not null,
  currency        char(3)     not null,
  created_at      timestamptz not null,
  primary key (tenant_id, line_id, hour),
  constraint charge_hour_is_whole check (extract(epoch from hour)::bigint % 3600 = 0)
) partition by range (hour);
create index charge_by_price on charge (tenant_id, subscription_id, price_id, hour);
comment on column charge.quantity is 'below zero only where an adjustment takes back';

create table charge_default partition of charge default;
select tuppence_close_partition('charge_default');

-- The catalogue is the same for every tenant and written by the service only; who says neither sees nothing.
alter table vendor enable row level security;
alter table vendor force row level security;
create policy vendor_of_service on vendor using (tuppence_service()) with check (tuppence_service());
create policy vendor_for_tenants on vendor for select using (tuppence_tenant() is not null);

alter table plan enable row level security;
alter table plan force row level security;
create policy plan_of_service on plan using (tuppence_service()) with check (tuppence_service());
create policy plan_for_tenants on plan for select using (tuppence_tenant() is not null);

alter table plan_version enable row level security;
alter table plan_version force row level security;
create policy plan_version_of_service on plan_version using (tuppence_service()) with check (tuppence_service());
create policy plan_version_for_tenants on plan_version for select using (tuppence_tenant() is not null);

alter table price enable row level security;
alter table price force row level security;
create policy price_of_service on price using (tuppence_service()) with check (tuppence_service());
create policy price_for_tenants on price for select using (tuppence_tenant() is not null);

alter table account enable row level security;
alter table account force row level security;
create policy account_of_tenant on account
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());

alter table subscription enable row level security;
alter table subscription force row level security;
create policy subscription_of_tenant on subscription
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());

alter table charge enable row level security;
alter table charge force row level security;
create policy charge_of_tenant on charge
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());

grant select, insert on vendor, plan, plan_version, price, charge to tuppence_app;
grant select, insert, update on account, subscription to tuppence_app;

-- The operator's own plans. Micros are millionths of a cent; a minute is 60,000 ms, a GB is 10^9 bytes.
-- The demo's allowance is so small that a call of seconds already costs something to look at.
set local tuppence.scope = 'service';

insert into vendor (vendor_id, name, created_at) values
  ('0199c000-0000-7000-8000-000000000001', 'Tuppence', '2026-01-01T00:00:00Z');

insert into plan (plan_id, vendor_id, name, created_at) values
  ('0199c000-0000-7000-8000-000000000011', '0199c000-0000-7000-8000-000000000001', 'Tuppence Business', '2026-01-01T00:00:00Z'),
  ('0199c000-0000-7000-8000-000000000012', '0199c000-0000-7000-8000-000000000001', 'Tuppence Demo', '2026-01-01T00:00:00Z');

insert into plan_version (plan_version_id, plan_id, version, currency, created_at) values
  ('0199c000-0000-7000-8000-000000000021', '0199c000-0000-7000-8000-000000000011', 1, 'USD', '2026-01-01T00:00:00Z'),
  ('0199c000-0000-7000-8000-000000000022', '0199c000-0000-7000-8000-000000000012', 1, 'USD', '2026-01-01T00:00:00Z');

insert into price
  (price_id, plan_version_id, position, description, meter, unit, unit_size, tier_up_to, tier_rate_micros, created_at)
values
  ('0199c000-0000-7000-8000-000000000031', '0199c000-0000-7000-8000-000000000021', 1,
   'Tuppence Business', null, 'month', 1, '{}', '{25000000}', '2026-01-01T00:00:00Z'),
  ('0199c000-0000-7000-8000-000000000032', '0199c000-0000-7000-8000-000000000021', 2,
   'Participant-minutes, 1,000 a month included', 'participant_ms', 'participant-minute', 60000, '{60000000}', '{0,50000}', '2026-01-01T00:00:00Z'),
  ('0199c000-0000-7000-8000-000000000033', '0199c000-0000-7000-8000-000000000021', 3,
   'Traffic to participants, 10 GB a month included', 'egress_bytes', 'GB', 1000000000, '{10000000000}', '{0,1000000}', '2026-01-01T00:00:00Z'),
  ('0199c000-0000-7000-8000-000000000041', '0199c000-0000-7000-8000-000000000022', 1,
   'Tuppence Demo', null, 'month', 1, '{}', '{25000000}', '2026-01-01T00:00:00Z'),
  ('0199c000-0000-7000-8000-000000000042', '0199c000-0000-7000-8000-000000000022', 2,
   'Participant-minutes, half of one a month included', 'participant_ms', 'participant-minute', 60000, '{30000}', '{0,50000}', '2026-01-01T00:00:00Z'),
  ('0199c000-0000-7000-8000-000000000043', '0199c000-0000-7000-8000-000000000022', 3,
   'Traffic to participants, 1 MB a month included', 'egress_bytes', 'GB', 1000000000, '{1000000}', '{0,1000000}', '2026-01-01T00:00:00Z');

set local tuppence.scope = '';
