-- Money comes in. A payer names ways to pay (as a processor's token, never a card's number) and says what it wishes; both are
-- histories that are only added to. A payment is an attempt to take money: its row is committed before the processor is
-- asked, and its id is what the processor knows it by, so that after a crash the attempt is looked up and not made twice.
-- Of all that is here only a payment's row ever changes, once: from attempted to succeeded or failed.
--
-- Whatever lowers a payer's tab is a settlement: a collection, a draw from the wallet, a write-off. Its allocations say which
-- statements it pays, oldest first, and its parts whose money that was: a vendor's, a country's, the operator's. A
-- statement's status is read from that and stored nowhere.
--
-- Two scopes: 'collect' looks through all tenants for what is to be done (each thing is then done in its tenant's own scope),
-- and 'processor' is the sandbox processor's, which is as far from our books as a real one.

create function tuppence_collecting() returns boolean
  language sql stable
  return coalesce(current_setting('tuppence.scope', true) = 'collect', false);

create function tuppence_processing() returns boolean
  language sql stable
  return coalesce(current_setting('tuppence.scope', true) = 'processor', false);

create table payment_method (
  tenant_id         uuid        not null,
  account_id        uuid        not null,
  payment_method_id uuid        not null,
  processor         text        not null constraint payment_method_processor_known check (processor in ('sandbox', 'stripe')),
  rail              text        not null constraint payment_method_rail_known check (rail in ('card', 'bank_debit')),
  token             text        not null constraint payment_method_token_length check (char_length(token) between 1 and 255),
  label             text        not null constraint payment_method_label_length check (char_length(label) between 1 and 60),
  created_at        timestamptz not null,
  primary key (tenant_id, payment_method_id),
  unique (tenant_id, account_id, payment_method_id),
  foreign key (tenant_id, account_id) references account (tenant_id, account_id)
);
comment on column payment_method.token is 'the processor''s name for it; worth nothing without our key to the processor';

create table payment_setting (
  tenant_id             uuid        not null,
  account_id            uuid        not null,
  sequence              integer     not null constraint payment_setting_counts_from_one check (sequence between 1 and 10000),
  payment_method_id     uuid,
  at_least_micros       bigint      constraint payment_setting_at_least_is_whole check (at_least_micros > 0 and at_least_micros % 1000000 = 0),
  top_up_micros         bigint      constraint payment_setting_top_up_is_whole check (top_up_micros > 0 and top_up_micros % 1000000 = 0),
  top_up_ceiling_micros bigint,
  created_at            timestamptz not null,
  primary key (tenant_id, account_id, sequence),
  foreign key (tenant_id, account_id) references account (tenant_id, account_id),
  foreign key (tenant_id, account_id, payment_method_id) references payment_method (tenant_id, account_id, payment_method_id),
  constraint payment_setting_top_up_has_a_ceiling check (
    (top_up_micros is null) = (top_up_ceiling_micros is null) and top_up_ceiling_micros >= top_up_micros
  )
);
comment on table payment_setting is 'the last one counts; at_least_micros: the payer does not want to be asked for less';

create table payment (
  tenant_id         uuid        not null,
  account_id        uuid        not null,
  payment_id        uuid        not null,
  number            bigint      not null generated always as identity,
  purpose           text        not null constraint payment_purpose_known check (purpose in ('collection', 'top_up', 'refill')),
  payment_method_id uuid        not null,
  currency          char(3)     not null constraint payment_currency_is_iso check (currency ~ '^[A-Z]{3}$'),
  amount_micros     bigint      not null constraint payment_amount_is_whole check (amount_micros > 0 and amount_micros % 1000000 = 0),
  why               text        not null constraint payment_why_length check (char_length(why) between 1 and 300),
  state             text        not null default 'attempted',
  failure           text        constraint payment_failure_known check (failure in ('passing', 'lasting')),
  detail            text        constraint payment_detail_length check (char_length(detail) <= 300),
  reference         text        constraint payment_reference_length check (char_length(reference) <= 255),
  fee_micros        bigint      constraint payment_fee_is_part check (fee_micros between 0 and amount_micros),
  attempted_at      timestamptz not null,
  ended_at          timestamptz,
  primary key (tenant_id, payment_id),
  foreign key (tenant_id, account_id, payment_method_id) references payment_method (tenant_id, account_id, payment_method_id),
  constraint payment_state_is_whole check (
    case state
      when 'attempted' then failure is null and fee_micros is null and ended_at is null
      when 'succeeded' then failure is null and fee_micros is not null and ended_at is not null
      when 'failed' then failure is not null and fee_micros is null and ended_at is not null
      else false
    end
  )
);
comment on column payment.number is 'the order of their making, whatever clock they were made by';
comment on column payment.purpose is 'refill: a wallet that fills itself up; top_up: the payer did it';
-- One at a time for a payer: two runners, or a runner and the payer, can never ask twice for the same tab.
create unique index payment_one_at_a_time on payment (tenant_id, account_id) where state = 'attempted';
create index payment_under_way on payment (number) where state = 'attempted';
create index payment_of_account on payment (tenant_id, account_id, number);
create index payment_by_id on payment (payment_id);

create function payment_refuse_other_arrows() returns trigger
  language plpgsql as $$
begin
  if new.state not in ('attempted', 'failed', 'succeeded') or old.state <> 'attempted' or new.state = 'attempted'
     or (old.tenant_id, old.account_id, old.payment_id, old.number, old.purpose, old.payment_method_id, old.currency,
         old.amount_micros, old.why, old.attempted_at)
        is distinct from
        (new.tenant_id, new.account_id, new.payment_id, new.number, new.purpose, new.payment_method_id, new.currency,
         new.amount_micros, new.why, new.attempted_at)
  then
    raise exception 'payment % is % and only an attempt can end', old.payment_id, old.state
      using errcode = 'restrict_violation', constraint = 'payment_only_ends';
  end if;
  return new;
end
$$;
create trigger payment_only_ends before update on payment
  for each row execute function payment_refuse_other_arrows();

create table settlement (
  tenant_id     uuid        not null,
  account_id    uuid        not null,
  settlement_id uuid        not null,
  kind          text        not null constraint settlement_kind_known check (kind in ('collection', 'wallet', 'write_off')),
  currency      char(3)     not null,
  amount_micros bigint      not null constraint settlement_is_something check (amount_micros > 0),
  fee_micros    bigint      not null constraint settlement_fee_is_part check (fee_micros between 0 and amount_micros),
  created_at    timestamptz not null,
  primary key (tenant_id, settlement_id),
  foreign key (tenant_id, account_id) references account (tenant_id, account_id),
  foreign key (tenant_id, settlement_id) references ledger_transaction (tenant_id, transaction_id)
);
comment on column settlement.settlement_id is 'also its transaction in the ledger; of a collection, its payment, too';
comment on column settlement.fee_micros is 'what the processor kept of it; of a draw, the part of the top-ups'' fees that falls to it';
create index settlement_of_account on settlement (tenant_id, account_id);

create table allocation (
  tenant_id     uuid        not null,
  settlement_id uuid        not null,
  statement_id  uuid        not null,
  amount_micros bigint      not null constraint allocation_is_something check (amount_micros > 0),
  created_at    timestamptz not null,
  primary key (tenant_id, settlement_id, statement_id),
  foreign key (tenant_id, settlement_id) references settlement (tenant_id, settlement_id),
  foreign key (tenant_id, statement_id) references statement (tenant_id, statement_id)
);
create index allocation_of_statement on allocation (tenant_id, statement_id);

create table settlement_part (
  tenant_id          uuid        not null,
  settlement_id      uuid        not null,
  ledger_account     text        not null constraint settlement_part_account_known
                                 check (ledger_account ~ '^(revenue:[0-9a-f-]{36}|tax:[A-Z]{2}|rounding)$'),
  passed_on          boolean     not null,
  gross_micros       bigint      not null constraint settlement_part_gross_counts check (gross_micros >= 0),
  platform_per_mille integer     not null constraint settlement_part_per_mille_range check (platform_per_mille between 0 and 1000),
  platform_micros    bigint      not null constraint settlement_part_platform_is_part check (platform_micros between 0 and gross_micros),
  fee_micros         bigint      not null constraint settlement_part_fee_counts check (fee_micros >= 0),
  net_micros         bigint      not null,
  currency           char(3)     not null,
  created_at         timestamptz not null,
  primary key (tenant_id, settlement_id, ledger_account),
  foreign key (tenant_id, settlement_id) references settlement (tenant_id, settlement_id),
  constraint settlement_part_adds_up check (gross_micros - platform_micros - fee_micros = net_micros),
  constraint settlement_part_is_a_vendors check (not passed_on or ledger_account like 'revenue:%')
);
comment on column settlement_part.passed_on is 'owed to a vendor of the tenant''s own; the operator''s own part stays where it is';

-- Looked at when everything of a transaction is written: no more is allocated than came in, no more of a statement is paid
-- than it says, all of a settlement is somebody's, and a collection is what its payment took.
create function settlement_refuse_wrong_sums() returns trigger
  language plpgsql as $$
declare
  parts record;
begin
  select count(*) as count, coalesce(sum(p.gross_micros), 0) as gross, coalesce(sum(p.fee_micros), 0) as fee into parts
    from settlement_part p
   where p.tenant_id = new.tenant_id and p.settlement_id = new.settlement_id;
  if new.kind <> 'write_off' and (parts.gross <> new.amount_micros or parts.fee <> new.fee_micros) then
    raise exception 'the parts of settlement % add up to %, its fee to %', new.settlement_id, parts.gross, parts.fee
      using errcode = 'check_violation', constraint = 'settlement_parts_add_up';
  end if;
  if new.kind = 'collection' and not exists (
    select from payment p
     where p.tenant_id = new.tenant_id and p.payment_id = new.settlement_id and p.account_id = new.account_id
       and p.purpose = 'collection' and p.state = 'succeeded' and p.currency = new.currency
       and p.amount_micros = new.amount_micros and p.fee_micros = new.fee_micros
  ) then
    raise exception 'settlement % is not what a payment took', new.settlement_id
      using errcode = 'check_violation', constraint = 'settlement_is_a_payment';
  end if;
  return null;
end
$$;
create constraint trigger settlement_adds_up after insert on settlement
  deferrable initially deferred for each row execute function settlement_refuse_wrong_sums();

create function allocation_refuse_too_much() returns trigger
  language plpgsql as $$
begin
  if (select sum(a.amount_micros) from allocation a
       where a.tenant_id = new.tenant_id and a.settlement_id = new.settlement_id)
     > (select s.amount_micros from settlement s
         where s.tenant_id = new.tenant_id and s.settlement_id = new.settlement_id)
  then
    raise exception 'more of settlement % is allocated than there is', new.settlement_id
      using errcode = 'check_violation', constraint = 'allocation_is_part_of_its_settlement';
  end if;
  if (select sum(a.amount_micros) from allocation a
       where a.tenant_id = new.tenant_id and a.statement_id = new.statement_id)
     > (select s.total_micros from statement s
         where s.tenant_id = new.tenant_id and s.statement_id = new.statement_id)
  then
    raise exception 'more of statement % is paid than it says', new.statement_id
      using errcode = 'check_violation', constraint = 'allocation_is_part_of_its_statement';
  end if;
  return null;
end
$$;
create constraint trigger allocation_is_part after insert on allocation
  deferrable initially deferred for each row execute function allocation_refuse_too_much();

-- A wallet is a liability: its balance is a credit, and never a debit. Checked at commit, whoever posts.
create function ledger_refuse_overdrawn_wallet() returns trigger
  language plpgsql as $$
begin
  if (select sum(e.amount_micros) from ledger_entry e
       where e.tenant_id = new.tenant_id and e.ledger_account = new.ledger_account and e.currency = new.currency) > 0
  then
    raise exception '% is overdrawn', new.ledger_account
      using errcode = 'check_violation', constraint = 'wallet_is_never_negative';
  end if;
  return null;
end
$$;
create constraint trigger ledger_entry_keeps_wallet_positive after insert on ledger_entry
  deferrable initially deferred for each row when (new.ledger_account like 'wallet:%' and new.amount_micros > 0)
  execute function ledger_refuse_overdrawn_wallet();

do $$
declare
  name text;
begin
  foreach name in array array['payment_method', 'payment_setting', 'settlement', 'allocation', 'settlement_part'] loop
    execute format('create trigger %I before update or delete on %I for each row execute function tuppence_refuse_change()',
                   name || '_is_append_only', name);
    execute format('create trigger %I before truncate on %I for each statement execute function tuppence_refuse_change()',
                   name || '_is_never_emptied', name);
  end loop;
  foreach name in array array['payment_method', 'payment_setting', 'payment', 'settlement', 'allocation', 'settlement_part'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy %I on %I using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant())',
                   name || '_of_tenant', name);
    execute format('create policy %I on %I for select using (tuppence_collecting())', name || '_in_collect', name);
    execute format('grant select, insert on %I to tuppence_app', name);
  end loop;
  -- What tells whether there is something to collect.
  foreach name in array array['tenant', 'account', 'statement', 'ledger_entry', 'subscription', 'subscription_change'] loop
    execute format('create policy %I on %I for select using (tuppence_collecting())', name || '_in_collect', name);
  end loop;
end
$$;
grant update (state, failure, detail, reference, fee_micros, ended_at) on payment to tuppence_app;
create trigger payment_is_never_deleted before delete on payment
  for each row execute function tuppence_refuse_change();
create trigger payment_is_never_emptied before truncate on payment
  for each statement execute function tuppence_refuse_change();

-- The sandbox processor: what it was told to do, by the caller's id, and what came of it. `answered` false: it got the
-- request and the line broke before it did anything. News are what happens later by itself: a payer's objection.
create table sandbox_order (
  order_id      uuid        not null,
  kind          text        not null constraint sandbox_order_kind_known check (kind in ('charge', 'refund', 'pay_out')),
  target        text        not null,
  payer         uuid,
  currency      char(3)     not null,
  amount_micros bigint      not null constraint sandbox_order_is_something check (amount_micros > 0),
  answered      boolean     not null,
  outcome       text        not null constraint sandbox_order_outcome_known check (outcome in ('succeeded', 'passing', 'lasting')),
  detail        text        not null,
  fee_micros    bigint      not null constraint sandbox_order_fee_counts check (fee_micros >= 0),
  created_at    timestamptz not null,
  primary key (order_id)
);
create index sandbox_order_by_target on sandbox_order (target, payer);

create table sandbox_news (
  number      bigint      not null generated always as identity,
  order_id    uuid        not null references sandbox_order (order_id),
  what        text        not null constraint sandbox_news_known check (what in ('dispute_opened', 'dispute_won', 'dispute_lost')),
  fee_micros  bigint      not null constraint sandbox_news_fee_counts check (fee_micros >= 0),
  created_at  timestamptz not null,
  primary key (number)
);

alter table sandbox_order enable row level security;
alter table sandbox_order force row level security;
create policy sandbox_order_of_processor on sandbox_order using (tuppence_processing()) with check (tuppence_processing());
alter table sandbox_news enable row level security;
alter table sandbox_news force row level security;
create policy sandbox_news_of_processor on sandbox_news using (tuppence_processing()) with check (tuppence_processing());
grant select, insert on sandbox_order, sandbox_news to tuppence_app;
grant update (answered) on sandbox_order to tuppence_app;
