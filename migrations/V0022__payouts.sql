-- What vendors are owed goes out. A vendor names where to (a processor's token; the last one counts), and a payout sends the
-- whole minor units of what stands on its account, line by line: each line is one transaction of the ledger that the account
-- has and that no payout before had. What is less than a minor unit is carried to the next.
--
-- As with refunds, the row and its posting are committed before the processor is asked; a payout that fails is posted back,
-- and that posting is a line of the next one.

create table payout_destination (
  tenant_id  uuid        not null,
  vendor_id  uuid        not null references vendor (vendor_id),
  sequence   integer     not null constraint payout_destination_counts_from_one check (sequence between 1 and 1000),
  processor  text        not null constraint payout_destination_processor_known check (processor in ('sandbox', 'stripe')),
  token      text        not null constraint payout_destination_token_length check (char_length(token) between 1 and 255),
  label      text        not null constraint payout_destination_label_length check (char_length(label) between 1 and 60),
  created_at timestamptz not null,
  primary key (tenant_id, vendor_id, sequence),
  foreign key (tenant_id) references tenant (tenant_id)
);

create table payout (
  tenant_id         uuid        not null,
  vendor_id         uuid        not null references vendor (vendor_id),
  payout_id         uuid        not null,
  number            bigint      not null generated always as identity,
  destination       integer     not null,
  currency          char(3)     not null,
  carried_in_micros bigint      not null,
  amount_micros     bigint      not null constraint payout_amount_is_whole check (amount_micros > 0 and amount_micros % 1000000 = 0),
  carried_out_micros bigint     not null constraint payout_carries_less_than_one check (carried_out_micros between 0 and 999999),
  state             text        not null default 'attempted',
  detail            text        constraint payout_detail_length check (char_length(detail) <= 300),
  attempted_at      timestamptz not null,
  ended_at          timestamptz,
  primary key (tenant_id, payout_id),
  foreign key (tenant_id, vendor_id, destination) references payout_destination (tenant_id, vendor_id, sequence),
  foreign key (tenant_id, payout_id) references ledger_transaction (tenant_id, transaction_id),
  constraint payout_state_is_whole check (
    case state
      when 'attempted' then ended_at is null
      when 'succeeded' then ended_at is not null
      when 'failed' then ended_at is not null and detail is not null
      else false
    end
  )
);
create unique index payout_one_at_a_time on payout (tenant_id, vendor_id, currency) where state = 'attempted';
create index payout_under_way on payout (number) where state = 'attempted';
create index payout_of_vendor on payout (tenant_id, vendor_id, currency, number);

create table payout_line (
  tenant_id      uuid        not null,
  vendor_id      uuid        not null,
  transaction_id uuid        not null,
  payout_id      uuid        not null,
  currency       char(3)     not null,
  amount_micros  bigint      not null constraint payout_line_is_something check (amount_micros <> 0),
  created_at     timestamptz not null,
  primary key (tenant_id, vendor_id, currency, transaction_id),
  foreign key (tenant_id, payout_id) references payout (tenant_id, payout_id),
  foreign key (tenant_id, transaction_id) references ledger_transaction (tenant_id, transaction_id)
);
comment on column payout_line.amount_micros is 'what the transaction added to what the vendor is owed; below zero where it took';
create index payout_line_of_payout on payout_line (tenant_id, payout_id);

create function payout_refuse_wrong_sum() returns trigger
  language plpgsql as $$
begin
  if new.carried_in_micros
     + (select coalesce(sum(l.amount_micros), 0) from payout_line l
         where l.tenant_id = new.tenant_id and l.payout_id = new.payout_id)
     <> new.amount_micros + new.carried_out_micros
  then
    raise exception 'the lines of payout % do not add up to it', new.payout_id
      using errcode = 'check_violation', constraint = 'payout_lines_add_up';
  end if;
  return null;
end
$$;
create constraint trigger payout_adds_up after insert on payout
  deferrable initially deferred for each row execute function payout_refuse_wrong_sum();

create trigger payout_only_ends before update on payout
  for each row execute function tuppence_refuse_other_arrows('attempted');
create trigger payout_is_never_deleted before delete on payout
  for each row execute function tuppence_refuse_change();
create trigger payout_destination_is_append_only before update or delete on payout_destination
  for each row execute function tuppence_refuse_change();
create trigger payout_line_is_append_only before update or delete on payout_line
  for each row execute function tuppence_refuse_change();

do $$
declare
  name text;
begin
  foreach name in array array['payout_destination', 'payout', 'payout_line'] loop
    execute format('create trigger %I before truncate on %I for each statement execute function tuppence_refuse_change()',
                   name || '_is_never_emptied', name);
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy %I on %I using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant())',
                   name || '_of_tenant', name);
    execute format('create policy %I on %I for select using (tuppence_collecting())', name || '_in_collect', name);
    execute format('grant select, insert on %I to tuppence_app', name);
  end loop;
end
$$;
grant update (state, detail, ended_at) on payout to tuppence_app;
create policy vendor_in_collect on vendor for select using (tuppence_collecting());
