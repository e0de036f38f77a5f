-- Tax. What a sale is taxed at follows from where the seller is, what the account said of itself, what is sold and the last
-- day of the month that it was sold in. Each of these is only added to, and counts from a time on, so that what a final
-- statement says can be worked out again for ever.
--
-- A statement's breakdown has one row for each way in which its lines are taxed: whole minor units without tax, and the tax
-- of that, rounded once, as EN 16931 asks (BR-CO-17). Accounts that said nothing are outside of all tax and have no rows; so
-- are all statements that were final before. The close looks for what is here, and for what later migrations add, only where
-- account.has_terms says that there is something.

alter table account add column has_terms boolean not null default false;
comment on column account.has_terms is 'whether a close must look for tax, coupons or credits of the account';

alter table plan_version
  add column tax_class text not null default 'standard' constraint plan_version_tax_class_known
                       check (tax_class in ('standard', 'reduced', 'zero', 'exempt')),
  add column prices_include_tax boolean not null default false;

create table seller (
  valid_from timestamptz not null,
  country    char(2)     not null constraint seller_country_form check (country ~ '^[A-Z]{2}$'),
  vat_id     text        constraint seller_vat_id_length check (char_length(vat_id) between 4 and 20),
  created_at timestamptz not null,
  primary key (valid_from)
);
comment on table seller is 'where the operator, who sells to every account, is at home for the tax office';

create table tax_rate (
  country         char(2)     not null constraint tax_rate_country_form check (country ~ '^[A-Z]{2}$'),
  class           text        not null constraint tax_rate_class_has_rates check (class in ('standard', 'reduced')),
  valid_from      date        not null,
  rate_millionths bigint      not null constraint tax_rate_is_a_share check (rate_millionths between 1 and 999999),
  source          text        not null constraint tax_rate_source_length check (char_length(source) between 1 and 200),
  created_at      timestamptz not null,
  primary key (country, class, valid_from)
);
comment on column tax_rate.rate_millionths is '190000 is 19 %';

create table account_tax (
  tenant_id  uuid        not null,
  account_id uuid        not null,
  sequence   integer     not null constraint account_tax_counts_from_one check (sequence between 1 and 1000),
  valid_from timestamptz not null,
  country    char(2)     not null constraint account_tax_country_form check (country ~ '^[A-Z]{2}$'),
  vat_id     text        constraint account_tax_vat_id_length check (char_length(vat_id) between 4 and 20),
  exemption  text        constraint account_tax_exemption_length check (char_length(exemption) between 1 and 200),
  created_at timestamptz not null,
  primary key (tenant_id, account_id, sequence),
  foreign key (tenant_id, account_id) references account (tenant_id, account_id)
);
comment on column account_tax.valid_from is 'in the tenant''s time; the last one before the end of a month counts for it';

-- Standard rates of the European Union, compared with two public tables on 2026-11-22 (mindlink.lv/useful/vat-rates-in-eu,
-- vatcompliance.co/eu-vat-rates) and, where these were older, with the laws that raised Estonia's (1 July 2025) and
-- Romania's (1 August 2025). 2016 stands for "long before". The operator answers for what is charged, and adds what changes.
set local tuppence.scope = 'service';
insert into tax_rate (country, class, valid_from, rate_millionths, source, created_at)
select r.country, 'standard', r.valid_from, r.rate_millionths, 'public tables of EU rates, 2026-11-22', '2026-11-22Z'
  from (values
    ('AT', date '2016-01-01', 200000), ('BE', '2016-01-01', 210000), ('BG', '2016-01-01', 200000),
    ('CY', '2016-01-01', 190000), ('CZ', '2016-01-01', 210000), ('DE', '2021-01-01', 190000),
    ('DK', '2016-01-01', 250000), ('EE', '2024-01-01', 220000), ('EE', '2025-07-01', 240000),
    ('ES', '2016-01-01', 210000), ('FI', '2024-09-01', 255000), ('FR', '2016-01-01', 200000),
    ('GR', '2016-06-01', 240000), ('HR', '2016-01-01', 250000), ('HU', '2016-01-01', 270000),
    ('IE', '2021-03-01', 230000), ('IT', '2016-01-01', 220000), ('LT', '2016-01-01', 210000),
    ('LU', '2024-01-01', 170000), ('LV', '2016-01-01', 210000), ('MT', '2016-01-01', 180000),
    ('NL', '2016-01-01', 210000), ('PL', '2016-01-01', 230000), ('PT', '2016-01-01', 230000),
    ('RO', '2017-01-01', 190000), ('RO', '2025-08-01', 210000), ('SE', '2016-01-01', 250000),
    ('SI', '2016-01-01', 220000), ('SK', '2025-01-01', 230000)
  ) as r (country, valid_from, rate_millionths);
set local tuppence.scope = '';

-- A rate for a month that may be final already would make its statements wrong.
create function tax_rate_refuse_past() returns trigger
  language plpgsql as $$
begin
  if new.valid_from < date_trunc('month', new.created_at at time zone 'UTC') then
    raise exception 'a rate counts from this month on at the earliest'
      using errcode = 'check_violation', constraint = 'tax_rate_is_not_of_the_past';
  end if;
  return new;
end
$$;
create trigger tax_rate_is_not_of_the_past before insert on tax_rate
  for each row execute function tax_rate_refuse_past();

alter table statement
  add column tax_micros        bigint not null default 0,
  add column tax_on_top_micros bigint not null default 0,
  add constraint statement_tax_is_whole check (tax_micros % 1000000 = 0 and tax_on_top_micros % 1000000 = 0),
  drop constraint statement_adds_up,
  add constraint statement_adds_up
    check (subtotal_micros + carried_in_micros + tax_on_top_micros = total_micros + carried_out_micros),
  drop constraint statement_carries_half_a_cent_at_most,
  -- Where prices include the tax, no whole amount may be nearer than that.
  add constraint statement_carries_a_cent_at_most check (abs(carried_out_micros) <= 1000000);
comment on column statement.tax_micros is 'all tax, whole minor units; part of the total';
comment on column statement.tax_on_top_micros is 'what of it is not within the prices of the lines';

alter table statement_line add column tax_group integer;
comment on column statement_line.tax_group is 'place of its row in the breakdown; null where the account is not taxed';

create table statement_tax (
  tenant_id          uuid    not null,
  statement_id       uuid    not null,
  position           integer not null constraint statement_tax_counts_from_one check (position >= 1),
  category           text    not null constraint statement_tax_category_known check (category in ('S', 'AA', 'Z', 'E', 'AE', 'O')),
  country            char(2),
  rate_millionths    bigint  not null constraint statement_tax_rate_is_a_share check (rate_millionths between 0 and 999999),
  prices_include_tax boolean not null,
  reason             text,
  priced_micros      bigint  not null,
  taxable_micros     bigint  not null,
  tax_micros         bigint  not null,
  currency           char(3) not null,
  created_at         timestamptz not null,
  primary key (tenant_id, statement_id, position),
  constraint statement_tax_is_whole_cents check (taxable_micros % 1000000 = 0 and tax_micros % 1000000 = 0),
  constraint statement_tax_category_has_its_rate check ((category in ('S', 'AA')) = (rate_millionths > 0)),
  constraint statement_tax_is_some_countrys check (country is not null or category = 'O'),
  -- Half to even.
  constraint statement_tax_is_the_rate_of_it check (
    2 * abs(tax_micros::numeric * 1000000 - taxable_micros::numeric * rate_millionths) < 1000000000000
    or 2 * abs(tax_micros::numeric * 1000000 - taxable_micros::numeric * rate_millionths) = 1000000000000
       and tax_micros % 2000000 = 0
  )
);

-- All rows of a statement are written at once, after it.
create function statement_tax_refuse_other_sums() returns trigger
  language plpgsql
  set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set jit = off as $$
begin
  if exists (
    select from (
      select t.tenant_id, t.statement_id, sum(t.taxable_micros + t.tax_micros) as total, sum(t.tax_micros) as tax,
             coalesce(sum(t.tax_micros) filter (where not t.prices_include_tax), 0) as on_top
        from (select distinct tenant_id, statement_id from new_rows) n
        join statement_tax t on t.tenant_id = n.tenant_id and t.statement_id = n.statement_id
       group by t.tenant_id, t.statement_id
    ) n
     where not exists (
       select from statement s
        where s.tenant_id = n.tenant_id and s.statement_id = n.statement_id
          and (s.total_micros, s.tax_micros, s.tax_on_top_micros) = (n.total, n.tax, n.on_top)
     )
  ) then
    raise exception 'a breakdown must add up to its statement'
      using errcode = 'check_violation', constraint = 'statement_tax_adds_up';
  end if;
  return null;
end
$$;
create trigger statement_tax_adds_up after insert on statement_tax
  referencing new table as new_rows for each statement execute function statement_tax_refuse_other_sums();

create function statement_refuse_tax_without_rows() returns trigger
  language plpgsql as $$
begin
  if not exists (
    select from statement_tax t where t.tenant_id = new.tenant_id and t.statement_id = new.statement_id
  ) then
    raise exception 'the tax of statement % has no breakdown', new.statement_id
      using errcode = 'check_violation', constraint = 'statement_tax_has_a_breakdown';
  end if;
  return null;
end
$$;
create constraint trigger statement_tax_has_a_breakdown after insert on statement
  deferrable initially deferred for each row when (new.tax_micros <> 0)
  execute function statement_refuse_tax_without_rows();

create trigger seller_is_append_only before update or delete on seller
  for each row execute function tuppence_refuse_change();
create trigger tax_rate_is_append_only before update or delete on tax_rate
  for each row execute function tuppence_refuse_change();
create trigger account_tax_is_append_only before update or delete on account_tax
  for each row execute function tuppence_refuse_change();
create trigger statement_tax_is_append_only before update or delete on statement_tax
  for each row execute function tuppence_refuse_change();
create trigger statement_tax_is_never_emptied before truncate on statement_tax
  for each statement execute function tuppence_refuse_change();

-- Operators act for the service by a token of their own.
create table operator_token (
  name       text        not null constraint operator_token_name_form check (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  token_hash text        not null constraint operator_token_hash_form check (token_hash ~ '^[0-9a-f]{64}$'),
  prefix     text        not null,
  created_at timestamptz not null,
  revoked_at timestamptz,
  primary key (name),
  constraint operator_token_unique unique (token_hash)
);
comment on column operator_token.token_hash is 'SHA-256 of the token, which is shown once';

alter table operator_token enable row level security;
alter table operator_token force row level security;
create policy operator_token_of_service on operator_token
  using (tuppence_service()) with check (tuppence_service());

alter table seller enable row level security;
alter table seller force row level security;
create policy seller_of_service on seller using (tuppence_service()) with check (tuppence_service());
create policy seller_for_tenants on seller for select using (tuppence_tenant() is not null);
create policy seller_in_close on seller for select using (tuppence_closing());

alter table tax_rate enable row level security;
alter table tax_rate force row level security;
create policy tax_rate_of_service on tax_rate using (tuppence_service()) with check (tuppence_service());
create policy tax_rate_for_tenants on tax_rate for select using (tuppence_tenant() is not null);
create policy tax_rate_in_close on tax_rate for select using (tuppence_closing());

alter table account_tax enable row level security;
alter table account_tax force row level security;
create policy account_tax_of_tenant on account_tax
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());
create policy account_tax_in_close on account_tax for select using (tuppence_closing());

alter table statement_tax enable row level security;
alter table statement_tax force row level security;
create policy statement_tax_of_tenant on statement_tax
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());
create policy statement_tax_read_in_close on statement_tax for select using (tuppence_closing());
create policy statement_tax_in_close on statement_tax for insert with check (tuppence_closing());

grant select, insert on seller, tax_rate, account_tax, statement_tax to tuppence_app;
grant select, insert, update on operator_token to tuppence_app;
