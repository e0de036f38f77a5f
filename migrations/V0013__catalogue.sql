-- Whoever sells makes plans: the operator, and from here on businesses for their own customers. A vendor, its plans, their
-- versions and prices belong to the tenant that made them, or, where tenant_id is null, to the operator, whose plans
-- every tenant sees. A version is sealed by the transaction that makes it: no price is added to it later.
--
-- Recurring prices may count what is held: seats, rooms, mailboxes. Then they take the models, the allowance and the
-- bounds of metered prices. A version may begin with a free trial and says what whoever is on it may do (features).
--
-- A subscription's row says how it began. What was decided since stands in subscription_change, each decision from an
-- hour on, in the order of their making: a later one overrules what earlier ones said about its hours. Neither is ever
-- changed. The holder of a subscription and who pays it (a sponsor) may be two accounts.

alter table vendor add column tenant_id uuid references tenant (tenant_id);
alter table plan
  add column tenant_id uuid references tenant (tenant_id),
  add column add_on    boolean not null default false;
alter table plan_version
  add column tenant_id  uuid    references tenant (tenant_id),
  add column trial_days integer not null default 0 constraint plan_version_trial_days_range check (trial_days between 0 and 365),
  add column features   jsonb   not null default '{}' constraint plan_version_features_is_object check (jsonb_typeof(features) = 'object'),
  add column made_by    xid8    not null default pg_current_xact_id();
create index plan_of_tenant on plan (tenant_id, plan_id);

alter table price
  add column tenant_id uuid references tenant (tenant_id),
  add column per       text not null default 'subscription' constraint price_per_known
                       check (per in ('subscription', 'seat', 'room', 'mailbox')),
  add constraint price_metered_is_per_subscription check (meter is null or per = 'subscription'),
  add constraint price_share_is_of_a_meter check (model <> 'percentage' or meter is not null),
  drop constraint price_recurring_has_one_rate,
  add constraint price_recurring_has_one_rate check (meter is not null or per <> 'subscription' or cardinality(tier_up_to) = 0),
  drop constraint price_recurring_is_plain,
  add constraint price_recurring_is_plain check (
    meter is not null
    or unit in ('month', 'year')
       and (per <> 'subscription' or included = 0 and minimum_micros is null and cap_micros is null)
  );
comment on column price.per is 'what a recurring price counts; a metered one counts by its meter';

create function plan_version_refuse_foreign_plan() returns trigger
  language plpgsql as $$
begin
  if not exists (
    select from plan l where l.plan_id = new.plan_id and l.tenant_id is not distinct from new.tenant_id
  ) then
    raise exception 'plan % belongs to somebody else', new.plan_id
      using errcode = 'check_violation', constraint = 'plan_version_is_of_own_plan';
  end if;
  return new;
end
$$;
create trigger plan_version_is_of_own_plan before insert on plan_version
  for each row execute function plan_version_refuse_foreign_plan();

create function price_refuse_sealed_version() returns trigger
  language plpgsql as $$
begin
  if not exists (
    select from plan_version v
     where v.plan_version_id = new.plan_version_id and v.tenant_id is not distinct from new.tenant_id
       and v.made_by = pg_current_xact_id()
  ) then
    raise exception 'plan version % is sealed: make another one', new.plan_version_id
      using errcode = 'restrict_violation', constraint = 'plan_version_is_sealed';
  end if;
  return new;
end
$$;
create trigger price_of_open_version before insert on price
  for each row execute function price_refuse_sealed_version();

-- Own rows and the operator's are seen; own ones are written.
drop policy vendor_of_service on vendor;
drop policy vendor_for_tenants on vendor;
create policy vendor_of_service on vendor
  using (tuppence_service() and tenant_id is null) with check (tuppence_service() and tenant_id is null);
create policy vendor_for_tenants on vendor for select
  using (tuppence_tenant() is not null and (tenant_id is null or tenant_id = tuppence_tenant()));
create policy vendor_of_tenant on vendor for insert with check (tenant_id = tuppence_tenant());

drop policy plan_of_service on plan;
drop policy plan_for_tenants on plan;
create policy plan_of_service on plan
  using (tuppence_service() and tenant_id is null) with check (tuppence_service() and tenant_id is null);
create policy plan_for_tenants on plan for select
  using (tuppence_tenant() is not null and (tenant_id is null or tenant_id = tuppence_tenant()));
create policy plan_of_tenant on plan for insert with check (tenant_id = tuppence_tenant());

drop policy plan_version_of_service on plan_version;
drop policy plan_version_for_tenants on plan_version;
create policy plan_version_of_service on plan_version
  using (tuppence_service() and tenant_id is null) with check (tuppence_service() and tenant_id is null);
create policy plan_version_for_tenants on plan_version for select
  using (tuppence_tenant() is not null and (tenant_id is null or tenant_id = tuppence_tenant()));
create policy plan_version_of_tenant on plan_version for insert with check (tenant_id = tuppence_tenant());

drop policy price_of_service on price;
drop policy price_for_tenants on price;
create policy price_of_service on price
  using (tuppence_service() and tenant_id is null) with check (tuppence_service() and tenant_id is null);
create policy price_for_tenants on price for select
  using (tuppence_tenant() is not null and (tenant_id is null or tenant_id = tuppence_tenant()));
create policy price_of_tenant on price for insert with check (tenant_id = tuppence_tenant());

create table subscription_change (
  tenant_id       uuid        not null,
  account_id      uuid        not null,
  subscription_id uuid        not null,
  sequence        integer     not null constraint subscription_change_counts_from_one check (sequence between 1 and 1000),
  from_hour       timestamptz not null,
  state           text        not null constraint subscription_change_state_known
                              check (state in ('trial', 'active', 'paused', 'ended')),
  plan_version_id uuid        not null references plan_version (plan_version_id),
  payer_id        uuid        not null,
  seats           integer     not null default 0 constraint subscription_change_seats_range check (seats between 0 and 1000000),
  rooms           integer     not null default 0 constraint subscription_change_rooms_range check (rooms between 0 and 1000000),
  mailboxes       integer     not null default 0 constraint subscription_change_mailboxes_range check (mailboxes between 0 and 1000000),
  created_at      timestamptz not null,
  primary key (tenant_id, subscription_id, sequence),
  foreign key (tenant_id, account_id, subscription_id) references subscription (tenant_id, account_id, subscription_id),
  foreign key (tenant_id, payer_id) references account (tenant_id, account_id),
  constraint subscription_change_on_the_hour check (extract(epoch from from_hour)::bigint % 3600 = 0)
);
create index subscription_change_by_payer on subscription_change (tenant_id, payer_id, subscription_id);
create unique index subscription_by_id on subscription (tenant_id, subscription_id);

create trigger subscription_change_is_append_only before update or delete on subscription_change
  for each row execute function tuppence_refuse_change();
create trigger subscription_change_is_never_emptied before truncate on subscription_change
  for each statement execute function tuppence_refuse_change();

alter table subscription_change enable row level security;
alter table subscription_change force row level security;
create policy subscription_change_of_tenant on subscription_change
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());
create policy subscription_change_in_close on subscription_change for select using (tuppence_closing());
grant select, insert on subscription_change to tuppence_app;
