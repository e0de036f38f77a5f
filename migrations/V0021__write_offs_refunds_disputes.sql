-- Money that is given up, and money that goes back.
--
-- A write-off is proposed by one and approved by another: what will never be paid is nobody's to decide alone. A refund is
-- begun like a payment: its row and its posting are committed before the processor is asked, under its id; if the processor
-- fails, a second posting takes the first one back. A dispute is the payer's: the processor takes the money back at once, and
-- gives it again if it is won. Refunds and disputes together never give back more than a payment took.
--
-- Each row changes once, from its first state to one of its last.

create table write_off (
  tenant_id     uuid        not null,
  account_id    uuid        not null,
  write_off_id  uuid        not null,
  currency      char(3)     not null,
  amount_micros bigint      not null constraint write_off_is_something check (amount_micros > 0),
  reason        text        not null constraint write_off_reason_length check (char_length(reason) between 1 and 300),
  state         text        not null default 'proposed',
  proposed_by   text        not null constraint write_off_proposed_by_length check (char_length(proposed_by) between 1 and 120),
  decided_by    text        constraint write_off_decided_by_length check (char_length(decided_by) between 1 and 120),
  proposed_at   timestamptz not null,
  decided_at    timestamptz,
  primary key (tenant_id, write_off_id),
  foreign key (tenant_id, account_id) references account (tenant_id, account_id),
  constraint write_off_takes_two check (decided_by <> proposed_by or state = 'rejected'),
  constraint write_off_state_is_whole check (
    case state
      when 'proposed' then decided_by is null and decided_at is null
      when 'approved' then decided_by is not null and decided_at is not null
      when 'rejected' then decided_by is not null and decided_at is not null
      else false
    end
  )
);
create unique index write_off_one_at_a_time on write_off (tenant_id, account_id) where state = 'proposed';

create table refund (
  tenant_id     uuid        not null,
  payment_id    uuid        not null,
  refund_id     uuid        not null,
  number        bigint      not null generated always as identity,
  currency      char(3)     not null,
  amount_micros bigint      not null constraint refund_amount_is_whole check (amount_micros > 0 and amount_micros % 1000000 = 0),
  reason        text        not null constraint refund_reason_length check (char_length(reason) between 1 and 300),
  state         text        not null default 'attempted',
  detail        text        constraint refund_detail_length check (char_length(detail) <= 300),
  attempted_at  timestamptz not null,
  ended_at      timestamptz,
  primary key (tenant_id, refund_id),
  foreign key (tenant_id, payment_id) references payment (tenant_id, payment_id),
  foreign key (tenant_id, refund_id) references ledger_transaction (tenant_id, transaction_id),
  constraint refund_state_is_whole check (
    case state
      when 'attempted' then ended_at is null
      when 'succeeded' then ended_at is not null
      when 'failed' then ended_at is not null and detail is not null
      else false
    end
  )
);
create index refund_of_payment on refund (tenant_id, payment_id);
create index refund_under_way on refund (number) where state = 'attempted';

create table dispute (
  tenant_id     uuid        not null,
  payment_id    uuid        not null,
  dispute_id    uuid        not null,
  currency      char(3)     not null,
  amount_micros bigint      not null constraint dispute_amount_counts check (amount_micros >= 0),
  fee_micros    bigint      not null constraint dispute_fee_counts check (fee_micros >= 0),
  state         text        not null default 'opened' constraint dispute_state_known check (state in ('opened', 'won', 'lost')),
  opened_at     timestamptz not null,
  ended_at      timestamptz,
  primary key (tenant_id, payment_id),
  foreign key (tenant_id, payment_id) references payment (tenant_id, payment_id),
  constraint dispute_ends_when_it_is_decided check ((state = 'opened') = (ended_at is null))
);

-- No more goes back than came. The payment's row is locked, so that two who give back at once see each other.
create function payment_refuse_too_much_back() returns trigger
  language plpgsql as $$
declare
  paid payment;
begin
  select * into paid from payment p where p.tenant_id = new.tenant_id and p.payment_id = new.payment_id for update;
  if paid.state is distinct from 'succeeded' or paid.currency <> new.currency then
    raise exception 'payment % took nothing in %', new.payment_id, new.currency
      using errcode = 'check_violation', constraint = 'only_what_was_paid_goes_back';
  end if;
  if new.amount_micros
     + (select coalesce(sum(r.amount_micros), 0) from refund r
         where r.tenant_id = new.tenant_id and r.payment_id = new.payment_id and r.state <> 'failed')
     + (select coalesce(sum(d.amount_micros), 0) from dispute d
         where d.tenant_id = new.tenant_id and d.payment_id = new.payment_id and d.state <> 'won')
     > paid.amount_micros
  then
    raise exception 'more of payment % goes back than came', new.payment_id
      using errcode = 'check_violation', constraint = 'no_more_goes_back_than_came';
  end if;
  return new;
end
$$;
create trigger refund_is_part_of_its_payment before insert on refund
  for each row execute function payment_refuse_too_much_back();
create trigger dispute_is_part_of_its_payment before insert on dispute
  for each row execute function payment_refuse_too_much_back();

-- An update may only end something that has not ended: what it is about stays as it was written.
create function tuppence_refuse_other_arrows() returns trigger
  language plpgsql as $$
declare
  ends constant text[] := array['state', 'detail', 'decided_by', 'decided_at', 'ended_at'];
begin
  if old.state <> tg_argv[0] or new.state = old.state or to_jsonb(old) - ends is distinct from to_jsonb(new) - ends then
    raise exception '% only ends, and once', tg_table_name
      using errcode = 'restrict_violation', constraint = tg_table_name || '_only_ends';
  end if;
  return new;
end
$$;
create trigger write_off_only_ends before update on write_off
  for each row execute function tuppence_refuse_other_arrows('proposed');
create trigger refund_only_ends before update on refund
  for each row execute function tuppence_refuse_other_arrows('attempted');
create trigger dispute_only_ends before update on dispute
  for each row execute function tuppence_refuse_other_arrows('opened');

do $$
declare
  name text;
begin
  foreach name in array array['write_off', 'refund', 'dispute'] loop
    execute format('create trigger %I before delete on %I for each row execute function tuppence_refuse_change()',
                   name || '_is_never_deleted', name);
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
grant update (state, decided_by, decided_at) on write_off to tuppence_app;
grant update (state, detail, ended_at) on refund to tuppence_app;
grant update (state, ended_at) on dispute to tuppence_app;

-- How far we have heard what processors have to tell: one row a processor.
create table processor_news (
  processor  text        not null,
  last       bigint      not null constraint processor_news_counts check (last >= 0),
  updated_at timestamptz not null,
  primary key (processor)
);
alter table processor_news enable row level security;
alter table processor_news force row level security;
create policy processor_news_in_collect on processor_news using (tuppence_collecting()) with check (tuppence_collecting());
grant select, insert, update on processor_news to tuppence_app;
