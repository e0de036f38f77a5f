-- Two things about money that comes in.
--
-- A statement says what happens to the tab, and that depends on how the payer pays: a close sees what payers said.
--
-- One piece of a processor's news that cannot be taken in does not hold up those after it: it is set aside with the reason, tried
-- again now and then, and stays on record once it was taken in.

create policy payment_setting_in_close on payment_setting for select using (tuppence_closing());
create policy payment_method_in_close on payment_method for select using (tuppence_closing());

create table news_set_aside (
  processor    text        not null constraint news_set_aside_processor_known check (processor in ('sandbox', 'stripe')),
  number       bigint      not null,
  charge       uuid        not null,
  what         text        not null constraint news_set_aside_known check (what in ('dispute_opened', 'dispute_won', 'dispute_lost')),
  fee_micros   bigint      constraint news_set_aside_fee_counts check (fee_micros >= 0),
  currency     char(3)     constraint news_set_aside_currency_is_iso check (currency ~ '^[A-Z]{3}$'),
  reason       text        not null constraint news_set_aside_reason_length check (char_length(reason) between 1 and 500),
  tries        integer     not null default 1 constraint news_set_aside_tries_count check (tries >= 1),
  set_aside_at timestamptz not null,
  tried_at     timestamptz not null,
  taken_in_at  timestamptz,
  primary key (processor, number),
  constraint news_set_aside_opened_has_its_fee check ((what = 'dispute_opened') = (fee_micros is not null and currency is not null))
);
create index news_set_aside_waiting on news_set_aside (processor, number) where taken_in_at is null;
comment on column news_set_aside.number is 'its place in the processor''s news';
alter table news_set_aside enable row level security;
alter table news_set_aside force row level security;
create policy news_set_aside_in_collect on news_set_aside using (tuppence_collecting()) with check (tuppence_collecting());
grant select, insert, update (reason, tries, tried_at, taken_in_at) on news_set_aside to tuppence_app;
