-- An account's months, once they are final. A statement is frozen with its lines: whatever is learned later stands on a
-- later one. Numbers have no gaps within a legal entity, as tax offices ask; so a number is taken by updating the
-- series' row in the transaction that uses it, and a transaction that fails gives it back. Sandbox tenants have a series
-- of their own, so that rehearsals take no number from the real books.
--
-- The sums hold by constraint: what the lines add to and what came in is what is billed and what is carried on, and
-- what is billed is whole cents. late_month lists final months that facts came for afterwards: the drafts look there
-- for adjustments and nowhere else.

create table number_series (
  legal_entity text   not null,
  prefix       text   not null,
  last_number  bigint not null default 0 constraint number_series_counts_up check (last_number >= 0),
  primary key (legal_entity),
  constraint number_series_prefix_unique unique (prefix)
);

create table statement (
  tenant_id          uuid        not null,
  account_id         uuid        not null,
  statement_id       uuid        not null,
  legal_entity       text        not null references number_series (legal_entity),
  series_number      bigint      not null,
  number             text        not null,
  period_start       timestamptz not null,
  period_end         timestamptz not null,
  as_of              timestamptz not null,
  currency           char(3)     not null,
  subtotal_micros    bigint      not null,
  carried_in_micros  bigint      not null,
  total_micros       bigint      not null,
  carried_out_micros bigint      not null,
  tab_before_micros  bigint      not null,
  tab_after_micros   bigint      not null,
  collect_decision   text        not null,
  collect_why        text        not null,
  finalized_at       timestamptz not null,
  primary key (tenant_id, statement_id),
  foreign key (tenant_id, account_id) references account (tenant_id, account_id),
  constraint statement_one_for_a_month unique (tenant_id, account_id, period_start),
  constraint statement_number_unique unique (legal_entity, series_number),
  constraint statement_period_is_a_month check (
    period_start = date_trunc('month', period_start at time zone 'UTC') at time zone 'UTC'
    and period_end = (period_start at time zone 'UTC' + interval '1 month') at time zone 'UTC'
  ),
  constraint statement_total_is_whole check (total_micros % 1000000 = 0),
  constraint statement_adds_up check (subtotal_micros + carried_in_micros = total_micros + carried_out_micros),
  constraint statement_carries_half_a_cent_at_most check (2 * abs(carried_out_micros) <= 1000000),
  constraint statement_tab_adds_up check (tab_before_micros + total_micros = tab_after_micros),
  constraint statement_collect_known check (collect_decision in ('wait', 'collect'))
);

create table statement_line (
  tenant_id       uuid    not null,
  statement_id    uuid    not null,
  line_id         uuid    not null,
  position        integer not null,
  kind            text    not null constraint statement_line_kind_known check (kind in ('recurring', 'metered', 'adjustment')),
  description     text    not null,
  meter           text,
  quantity        bigint,
  unit            text    not null,
  unit_size       bigint,
  included        bigint,
  rate_micros     bigint,
  amount_micros   bigint  not null,
  currency        char(3) not null,
  month           date    not null,
  subscription_id uuid    not null,
  price_id        uuid    not null references price (price_id),
  vendor_id       uuid    not null references vendor (vendor_id),
  created_at      timestamptz not null,
  primary key (tenant_id, statement_id, line_id),
  foreign key (tenant_id, statement_id) references statement (tenant_id, statement_id),
  constraint statement_line_position_unique unique (tenant_id, statement_id, position)
);
create index statement_line_by_month on statement_line (tenant_id, month);
comment on column statement_line.month is 'first day of the month that the usage belongs to; an adjustment''s is an earlier one';

create table late_month (
  tenant_id  uuid        not null,
  account_id uuid        not null,
  month      date        not null,
  created_at timestamptz not null,
  primary key (tenant_id, account_id, month),
  foreign key (tenant_id, account_id) references account (tenant_id, account_id)
);

create trigger statement_is_append_only before update or delete on statement
  for each row execute function tuppence_refuse_change();
create trigger statement_is_never_emptied before truncate on statement
  for each statement execute function tuppence_refuse_change();
create trigger statement_line_is_append_only before update or delete on statement_line
  for each row execute function tuppence_refuse_change();
create trigger statement_line_is_never_emptied before truncate on statement_line
  for each statement execute function tuppence_refuse_change();

-- The row stays locked until the transaction ends, so numbers are given out in the order of commits, without gaps.
-- The function is in service scope for its own duration only: the caller stays with its tenant. (A `set` clause would say so
-- more briefly, but only a superuser may write one for a setting of ours, and our schema's owner is none.)
create function tuppence_next_number(entity text, out series_number bigint, out number text)
  language plpgsql volatile as $$
declare
  callers_scope constant text := coalesce(current_setting('tuppence.scope', true), '');
begin
  perform set_config('tuppence.scope', 'service', true);
  update number_series set last_number = last_number + 1
   where legal_entity = entity
   returning last_number, prefix || '-' || lpad(last_number::text, greatest(6, length(last_number::text)), '0')
   into series_number, number;
  perform set_config('tuppence.scope', callers_scope, true);
end
$$;

alter table number_series enable row level security;
alter table number_series force row level security;
create policy number_series_of_service on number_series using (tuppence_service()) with check (tuppence_service());

alter table statement enable row level security;
alter table statement force row level security;
create policy statement_of_tenant on statement
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());

alter table statement_line enable row level security;
alter table statement_line force row level security;
create policy statement_line_of_tenant on statement_line
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());

alter table late_month enable row level security;
alter table late_month force row level security;
create policy late_month_of_tenant on late_month
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());

grant select, update on number_series to tuppence_app;
grant select, insert on statement, statement_line, late_month to tuppence_app;

set local tuppence.scope = 'service';
insert into number_series (legal_entity, prefix) values ('operator', 'TUP'), ('sandbox', 'TEST');
set local tuppence.scope = '';
