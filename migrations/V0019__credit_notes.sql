-- Credit notes: corrections of final statements, which stay as they are. Each has a number without gaps in a series of its own,
-- takes back whole minor units of lines and the tax that falls to them, and is posted under its own id. Together the notes of a
-- statement take back no more than it billed: in all, of each way in which it was taxed, and of each line, whose part of what was
-- billed (billed_micros) every note repeats.

set local tuppence.scope = 'service';
insert into number_series (legal_entity, prefix) values ('operator credit notes', 'CN'), ('sandbox credit notes', 'TEST-CN');
set local tuppence.scope = '';

create table credit_note (
  tenant_id      uuid        not null,
  account_id     uuid        not null,
  credit_note_id uuid        not null,
  statement_id   uuid        not null,
  legal_entity   text        not null references number_series (legal_entity),
  series_number  bigint      not null,
  number         text        not null,
  reason         text        not null constraint credit_note_reason_length check (char_length(reason) between 1 and 200),
  currency       char(3)     not null,
  net_micros     bigint      not null,
  tax_micros     bigint      not null,
  total_micros   bigint      not null constraint credit_note_is_something check (total_micros > 0),
  issued_at      timestamptz not null,
  primary key (tenant_id, credit_note_id),
  foreign key (tenant_id, account_id) references account (tenant_id, account_id),
  foreign key (tenant_id, statement_id) references statement (tenant_id, statement_id),
  constraint credit_note_number_unique unique (legal_entity, series_number),
  constraint credit_note_adds_up check (net_micros + tax_micros = total_micros),
  constraint credit_note_is_whole check (net_micros % 1000000 = 0 and tax_micros % 1000000 = 0),
  constraint credit_note_takes_back check (net_micros >= 0 and tax_micros >= 0)
);
create index credit_note_by_statement on credit_note (tenant_id, statement_id);
comment on column credit_note.issued_at is 'in the tenant''s time';

create table credit_note_line (
  tenant_id      uuid        not null,
  credit_note_id uuid        not null,
  statement_id   uuid        not null,
  line_id        uuid        not null,
  vendor_id      uuid        not null references vendor (vendor_id),
  tax_group      integer,
  amount_micros  bigint      not null constraint credit_note_line_is_something check (amount_micros > 0),
  billed_micros  bigint      not null,
  created_at     timestamptz not null,
  primary key (tenant_id, credit_note_id, line_id),
  foreign key (tenant_id, credit_note_id) references credit_note (tenant_id, credit_note_id),
  foreign key (tenant_id, statement_id, line_id) references statement_line (tenant_id, statement_id, line_id),
  constraint credit_note_line_is_whole check (amount_micros % 1000000 = 0 and billed_micros % 1000000 = 0)
);
create index credit_note_line_by_line on credit_note_line (tenant_id, statement_id, line_id);

create table credit_note_tax (
  tenant_id          uuid        not null,
  credit_note_id     uuid        not null,
  statement_id       uuid        not null,
  position           integer     not null,
  tax_group          integer,
  category           text        not null,
  country            char(2),
  rate_millionths    bigint      not null,
  prices_include_tax boolean     not null,
  taxable_micros     bigint      not null,
  tax_micros         bigint      not null,
  created_at         timestamptz not null,
  primary key (tenant_id, credit_note_id, position),
  foreign key (tenant_id, credit_note_id) references credit_note (tenant_id, credit_note_id),
  constraint credit_note_tax_takes_back check (taxable_micros >= 0 and tax_micros >= 0),
  constraint credit_note_tax_is_whole check (taxable_micros % 1000000 = 0 and tax_micros % 1000000 = 0)
);
create index credit_note_tax_by_statement on credit_note_tax (tenant_id, statement_id);

-- At commit: whatever was written, and in whatever order.
create function credit_note_refuse_excess() returns trigger
  language plpgsql as $$
declare
  excess text;
begin
  select case
    when n.net is distinct from new.net_micros or n.tax is distinct from new.tax_micros then 'credit_note_is_its_parts'
    when b.credited > s.total_micros then 'credit_note_is_within_the_statement'
    when exists (
      select from credit_note_tax t
        join statement_tax b on b.tenant_id = t.tenant_id and b.statement_id = t.statement_id and b.position = t.tax_group
       where t.tenant_id = new.tenant_id and t.statement_id = new.statement_id
       group by b.position, b.taxable_micros, b.tax_micros
      having sum(t.taxable_micros) > b.taxable_micros or sum(t.tax_micros) > b.tax_micros
    ) then 'credit_note_is_within_the_tax'
    when exists (
      select from credit_note_line l
       where l.tenant_id = new.tenant_id and l.statement_id = new.statement_id
       group by l.line_id
      having sum(l.amount_micros) > min(l.billed_micros) or min(l.billed_micros) <> max(l.billed_micros)
    ) then 'credit_note_is_within_the_line'
  end into excess
    from statement s,
         lateral (select sum(t.taxable_micros) as net, sum(t.tax_micros) as tax from credit_note_tax t
                   where t.tenant_id = new.tenant_id and t.credit_note_id = new.credit_note_id) n,
         lateral (select sum(c.total_micros) as credited from credit_note c
                   where c.tenant_id = new.tenant_id and c.statement_id = new.statement_id) b
   where s.tenant_id = new.tenant_id and s.statement_id = new.statement_id;
  if excess is not null then
    raise exception 'credit note %: more than was billed and not yet credited, or parts that do not add up', new.number
      using errcode = 'check_violation', constraint = excess;
  end if;
  return null;
end
$$;
create constraint trigger credit_note_is_within_the_statement after insert on credit_note
  deferrable initially deferred for each row execute function credit_note_refuse_excess();

create trigger credit_note_is_append_only before update or delete on credit_note
  for each row execute function tuppence_refuse_change();
create trigger credit_note_line_is_append_only before update or delete on credit_note_line
  for each row execute function tuppence_refuse_change();
create trigger credit_note_tax_is_append_only before update or delete on credit_note_tax
  for each row execute function tuppence_refuse_change();
create trigger credit_note_is_never_emptied before truncate on credit_note
  for each statement execute function tuppence_refuse_change();

alter table credit_note enable row level security;
alter table credit_note force row level security;
create policy credit_note_of_tenant on credit_note
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());

alter table credit_note_line enable row level security;
alter table credit_note_line force row level security;
create policy credit_note_line_of_tenant on credit_note_line
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());

alter table credit_note_tax enable row level security;
alter table credit_note_tax force row level security;
create policy credit_note_tax_of_tenant on credit_note_tax
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());

grant select, insert on credit_note, credit_note_line, credit_note_tax to tuppence_app;
