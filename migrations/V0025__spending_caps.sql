-- What a business lets itself spend on usage in a calendar month, in all or through one of its keys. A cap is replaced by ending it
-- and setting another; what was warned of stays, each warning once for a cap, a month and a share of it.
--
-- Events remember the key that reported them, and readings with them. What came before has none.

create table spending_cap (
  tenant_id    uuid        not null,
  cap_id       uuid        not null,
  account_id   uuid        not null,
  key_id       uuid,
  limit_micros bigint      not null constraint spending_cap_is_positive check (limit_micros > 0),
  currency     char(3)     not null constraint spending_cap_currency_is_iso check (currency ~ '^[A-Z]{3}$'),
  created_at   timestamptz not null,
  ended_at     timestamptz,
  primary key (tenant_id, cap_id),
  foreign key (tenant_id, account_id) references account (tenant_id, account_id),
  foreign key (tenant_id, key_id) references api_key (tenant_id, key_id)
);
create unique index spending_cap_one_at_a_time
  on spending_cap (tenant_id, account_id, key_id) nulls not distinct where ended_at is null;
comment on column spending_cap.key_id is 'null: whatever the usage comes from';

create table cap_warning (
  tenant_id    uuid        not null,
  cap_id       uuid        not null,
  month        date        not null constraint cap_warning_month_is_its_first_day check (extract(day from month) = 1),
  percent      smallint    not null constraint cap_warning_percent_known check (percent in (50, 80, 100)),
  spent_micros bigint      not null,
  warned_at    timestamptz not null,
  primary key (tenant_id, cap_id, month, percent),
  foreign key (tenant_id, cap_id) references spending_cap (tenant_id, cap_id)
);

create trigger cap_warning_is_append_only before update or delete on cap_warning
  for each row execute function tuppence_refuse_change();

alter table spending_cap enable row level security;
alter table spending_cap force row level security;
create policy spending_cap_of_tenant on spending_cap
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());
grant select, insert, update on spending_cap to tuppence_app;

alter table cap_warning enable row level security;
alter table cap_warning force row level security;
create policy cap_warning_of_tenant on cap_warning
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());
grant select, insert on cap_warning to tuppence_app;

alter table event add column key_id uuid;
alter table reading add column key_id uuid;
