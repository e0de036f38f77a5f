-- Coupons take something off what one vendor sells, credits pay a part of what a statement comes to.
--
-- A coupon never changes; how often it was redeemed by all accounts together is counted beside it, in a row that whoever redeems it
-- updates. Its code is known to whoever was told: a tenant sees the coupons that it made or redeemed and finds others by their
-- code only. What it takes off a line is a line of kind discount, which names both.
--
-- A credit is given once, and what becomes of it is only added to: used by a statement, or run out. Together these are never
-- more than was given.

create table coupon (
  coupon_id          uuid        not null,
  tenant_id          uuid        references tenant (tenant_id),
  vendor_id          uuid        not null references vendor (vendor_id),
  code               text        not null constraint coupon_code_form check (code ~ '^[A-Z0-9][A-Z0-9-]{2,39}$'),
  name               text        not null constraint coupon_name_length check (char_length(name) between 1 and 120),
  plans              uuid[]      not null default '{}' constraint coupon_plans_count check (cardinality(plans) <= 50),
  percent_millionths bigint      constraint coupon_percent_range check (percent_millionths between 1 and 1000000),
  amount_micros      bigint      constraint coupon_amount_is_something check (amount_micros > 0),
  currency           char(3)     constraint coupon_currency_is_iso check (currency ~ '^[A-Z]{3}$'),
  months             integer     constraint coupon_months_range check (months between 1 and 1200),
  redemptions_max    bigint      constraint coupon_redemptions_max_counts check (redemptions_max >= 1),
  redeem_by          timestamptz,
  created_at         timestamptz not null,
  primary key (coupon_id),
  constraint coupon_takes_a_share_or_an_amount check (
    (percent_millionths is null) <> (amount_micros is null) and (amount_micros is null) = (currency is null)
  )
);
-- A code means one thing to everybody.
create unique index coupon_code_unique on coupon (code);
comment on column coupon.tenant_id is 'who made it; null is the operator';
comment on column coupon.months is 'null: for ever';

create table coupon_count (
  coupon_id       uuid   not null references coupon (coupon_id),
  redeemed        bigint not null default 0,
  redemptions_max bigint,
  primary key (coupon_id),
  constraint coupon_is_redeemed_as_often_as_it_may check (0 <= redeemed and redeemed <= redemptions_max)
);

create table coupon_redemption (
  tenant_id   uuid        not null,
  account_id  uuid        not null,
  coupon_id   uuid        not null references coupon (coupon_id),
  sequence    integer     not null constraint coupon_redemption_counts_from_one check (sequence between 1 and 100),
  from_month  date        not null constraint coupon_redemption_from_a_first check (extract(day from from_month) = 1),
  redeemed_at timestamptz not null,
  primary key (tenant_id, account_id, coupon_id),
  foreign key (tenant_id, account_id) references account (tenant_id, account_id),
  constraint coupon_redemption_sequence_unique unique (tenant_id, account_id, sequence)
);

create trigger coupon_is_append_only before update or delete on coupon
  for each row execute function tuppence_refuse_change();
create trigger coupon_redemption_is_append_only before update or delete on coupon_redemption
  for each row execute function tuppence_refuse_change();

alter table coupon enable row level security;
alter table coupon force row level security;
create policy coupon_of_service on coupon
  using (tuppence_service()) with check (tuppence_service() and tenant_id is null);
create policy coupon_of_tenant on coupon
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());
create policy coupon_redeemed_by_tenant on coupon for select using (
  tuppence_tenant() is not null
  and exists (select from coupon_redemption r where r.tenant_id = tuppence_tenant() and r.coupon_id = coupon.coupon_id)
);
create policy coupon_in_close on coupon for select using (tuppence_closing());

alter table coupon_count enable row level security;
alter table coupon_count force row level security;
create policy coupon_count_of_service on coupon_count using (tuppence_service()) with check (tuppence_service());

alter table coupon_redemption enable row level security;
alter table coupon_redemption force row level security;
create policy coupon_redemption_of_tenant on coupon_redemption
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());
create policy coupon_redemption_in_close on coupon_redemption for select using (tuppence_closing());

grant select, insert on coupon, coupon_redemption to tuppence_app;
grant select, insert, update on coupon_count to tuppence_app;

-- Every coupon is counted, whoever makes it.
create function coupon_begin_count() returns trigger
  language plpgsql as $$
declare
  callers_scope constant text := coalesce(current_setting('tuppence.scope', true), '');
begin
  perform set_config('tuppence.scope', 'service', true);
  insert into coupon_count (coupon_id, redemptions_max) values (new.coupon_id, new.redemptions_max);
  perform set_config('tuppence.scope', callers_scope, true);
  return null;
end
$$;
create trigger coupon_begins_count after insert on coupon for each row execute function coupon_begin_count();

-- Whoever knows a code finds its coupon: the operator's, or one of the tenant's own.
create function tuppence_coupon_of_code(wanted text)
  returns table (coupon_id uuid, redeemed bigint)
  language plpgsql volatile as $$
declare
  callers_scope constant text := coalesce(current_setting('tuppence.scope', true), '');
begin
  perform set_config('tuppence.scope', 'service', true);
  return query
    select c.coupon_id, n.redeemed
      from coupon c
      join coupon_count n on n.coupon_id = c.coupon_id
     where c.code = wanted and (c.tenant_id is null or c.tenant_id = tuppence_tenant());
  perform set_config('tuppence.scope', callers_scope, true);
end
$$;

create function tuppence_coupon(wanted uuid) returns setof coupon
  language plpgsql volatile as $$
declare
  callers_scope constant text := coalesce(current_setting('tuppence.scope', true), '');
begin
  perform set_config('tuppence.scope', 'service', true);
  return query
    select c.* from coupon c
     where c.coupon_id = wanted and (c.tenant_id is null or c.tenant_id = tuppence_tenant());
  perform set_config('tuppence.scope', callers_scope, true);
end
$$;

-- Counts one more, if one more may be. Others who redeem it wait for the end of the transaction.
create function tuppence_take_coupon(wanted uuid) returns boolean
  language plpgsql volatile as $$
declare
  callers_scope constant text := coalesce(current_setting('tuppence.scope', true), '');
  is_taken boolean;
begin
  perform set_config('tuppence.scope', 'service', true);
  update coupon_count set redeemed = redeemed + 1
   where coupon_id = wanted and (redemptions_max is null or redeemed < redemptions_max);
  is_taken := found;
  perform set_config('tuppence.scope', callers_scope, true);
  return is_taken;
end
$$;

alter table statement_line
  add column coupon_id uuid,
  add column discounts uuid,
  drop constraint statement_line_kind_known,
  add constraint statement_line_kind_known check (kind in ('recurring', 'metered', 'adjustment', 'discount')),
  add constraint statement_line_discount_names_its_coupon check (
    (kind = 'discount') = (coupon_id is not null) and (kind = 'discount') = (discounts is not null)
  );
comment on column statement_line.discounts is 'the line of the same statement that a discount is taken off';

create function statement_line_refuse_discount() returns trigger
  language plpgsql as $$
begin
  if not exists (
    select from statement_line l
     where l.tenant_id = new.tenant_id and l.statement_id = new.statement_id and l.line_id = new.discounts
       and l.kind <> 'discount' and l.vendor_id = new.vendor_id and l.tax_group is not distinct from new.tax_group
       and sign(l.amount_micros) = -sign(new.amount_micros)
       and abs(l.amount_micros) >= (
         select sum(abs(d.amount_micros)) from statement_line d
          where d.tenant_id = new.tenant_id and d.statement_id = new.statement_id and d.discounts = new.discounts
       )
  ) then
    raise exception 'a discount takes off a line of its statement, and not more than that'
      using errcode = 'check_violation', constraint = 'statement_line_discount_is_within_its_line';
  end if;
  return null;
end
$$;
create trigger statement_line_discount_is_within_its_line after insert on statement_line
  for each row when (new.kind = 'discount') execute function statement_line_refuse_discount();

-- credits:{account} is what was given to a payer and is not used yet; promotions is what was given away.
alter table ledger_entry
  drop constraint ledger_entry_account_known,
  add constraint ledger_entry_account_known check (ledger_account ~
    '^((receivable|carried|wallet|credits|deferred|revenue|payable):[0-9a-f-]{36}|tax:[A-Z]{2}|processor|processor_fees|platform_share|promotions|written_off|rounding)$'
  );

create table credit_grant (
  tenant_id     uuid        not null,
  account_id    uuid        not null,
  credit_id     uuid        not null,
  amount_micros bigint      not null constraint credit_grant_is_something check (amount_micros > 0),
  currency      char(3)     not null constraint credit_grant_currency_is_iso check (currency ~ '^[A-Z]{3}$'),
  reason        text        not null constraint credit_grant_reason_length check (char_length(reason) between 1 and 200),
  expires_at    timestamptz,
  granted_at    timestamptz not null,
  created_at    timestamptz not null,
  primary key (tenant_id, credit_id),
  foreign key (tenant_id, account_id) references account (tenant_id, account_id),
  constraint credit_grant_is_whole check (amount_micros % 1000000 = 0),
  constraint credit_grant_lasts check (expires_at > granted_at)
);
create index credit_grant_by_account on credit_grant (tenant_id, account_id, credit_id);
comment on column credit_grant.granted_at is 'in the tenant''s time';

create table credit_use (
  tenant_id     uuid        not null,
  credit_id     uuid        not null,
  statement_id  uuid        not null,
  kind          text        not null constraint credit_use_kind_known check (kind in ('used', 'expired')),
  amount_micros bigint      not null constraint credit_use_is_something check (amount_micros > 0),
  currency      char(3)     not null,
  created_at    timestamptz not null,
  primary key (tenant_id, credit_id, statement_id, kind),
  constraint credit_use_is_whole check (amount_micros % 1000000 = 0)
);
create index credit_use_by_statement on credit_use (tenant_id, statement_id);
comment on column credit_use.statement_id is 'the month whose close used it, or found that it had run out before the month''s end';

create function credit_use_refuse_more_than_given() returns trigger
  language plpgsql
  set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set jit = off as $$
begin
  if exists (
    select from (select distinct tenant_id, credit_id from new_rows) n
     where not exists (
       select from credit_grant g
        where g.tenant_id = n.tenant_id and g.credit_id = n.credit_id
          and g.amount_micros >= (
            select sum(u.amount_micros) from credit_use u
             where u.tenant_id = g.tenant_id and u.credit_id = g.credit_id and u.currency = g.currency
          )
     )
  ) then
    raise exception 'a credit is used up to what was given'
      using errcode = 'check_violation', constraint = 'credit_is_never_below_zero';
  end if;
  return null;
end
$$;
create trigger credit_is_never_below_zero after insert on credit_use
  referencing new table as new_rows for each statement execute function credit_use_refuse_more_than_given();

create trigger credit_grant_is_append_only before update or delete on credit_grant
  for each row execute function tuppence_refuse_change();
create trigger credit_use_is_append_only before update or delete on credit_use
  for each row execute function tuppence_refuse_change();

alter table statement
  add column credits_micros bigint not null default 0,
  add constraint statement_credits_are_whole check (credits_micros % 1000000 = 0),
  add constraint statement_credits_pay_the_total_at_most check (credits_micros between 0 and greatest(total_micros, 0)),
  drop constraint statement_tab_adds_up,
  add constraint statement_tab_adds_up check (tab_before_micros + total_micros - credits_micros = tab_after_micros);
comment on column statement.credits_micros is 'what of the total was paid by credits';

alter table credit_grant enable row level security;
alter table credit_grant force row level security;
create policy credit_grant_of_tenant on credit_grant
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());
create policy credit_grant_in_close on credit_grant for select using (tuppence_closing());

alter table credit_use enable row level security;
alter table credit_use force row level security;
create policy credit_use_of_tenant on credit_use
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());
create policy credit_use_read_in_close on credit_use for select using (tuppence_closing());
create policy credit_use_in_close on credit_use for insert with check (tuppence_closing());

grant select, insert on credit_grant, credit_use to tuppence_app;
