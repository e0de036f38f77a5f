-- A month of a million accounts becomes final in transactions of a thousand accounts each. Two things make that quick.
--
-- A scope of its own: a transaction that says `set local tuppence.scope = 'close'` reads what statements are made of and
-- adds statements, whoever's they are, and can do nothing else. A transaction of one tenant is as narrow as before.
--
-- Rules that look at all rows of a statement at once instead of at each row. A foreign key costs a query and a row lock
-- for every row. What history refers to is never deleted, so it is enough to look once, when the rows are written; the
-- triggers below do that for as many rows as there are. An entry's transaction must have been begun by this very
-- database transaction, which is more than its foreign key asked for. Entries are balanced when their transaction's head
-- is checked at commit; those that come in outside of a close are checked one by one as before.

create function tuppence_closing() returns boolean
  language sql stable
  return coalesce(current_setting('tuppence.scope', true) = 'close', false);

-- What statements are made of.
create policy tenant_in_close on tenant for select using (tuppence_closing());
create policy vendor_in_close on vendor for select using (tuppence_closing());
create policy plan_in_close on plan for select using (tuppence_closing());
create policy plan_version_in_close on plan_version for select using (tuppence_closing());
create policy price_in_close on price for select using (tuppence_closing());
create policy account_in_close on account for select using (tuppence_closing());
create policy subscription_in_close on subscription for select using (tuppence_closing());
create policy usage_fact_in_close on usage_fact for select using (tuppence_closing());
create policy late_month_in_close on late_month for select using (tuppence_closing());

-- What becoming final writes.
create policy statement_read_in_close on statement for select using (tuppence_closing());
create policy statement_in_close on statement for insert with check (tuppence_closing());
create policy statement_line_read_in_close on statement_line for select using (tuppence_closing());
create policy statement_line_in_close on statement_line for insert with check (tuppence_closing());
create policy charge_read_in_close on charge for select using (tuppence_closing());
create policy charge_in_close on charge for insert with check (tuppence_closing());
create policy ledger_transaction_read_in_close on ledger_transaction for select using (tuppence_closing());
create policy ledger_transaction_in_close on ledger_transaction for insert with check (tuppence_closing());
create policy ledger_entry_read_in_close on ledger_entry for select using (tuppence_closing());
create policy ledger_entry_in_close on ledger_entry for insert with check (tuppence_closing());

-- So many numbers at once, without gaps as before: whoever takes some holds the series until the transaction ends.
create function tuppence_take_numbers(entity text, count bigint, out first_number bigint, out number_prefix text)
  language plpgsql volatile as $$
declare
  callers_scope constant text := coalesce(current_setting('tuppence.scope', true), '');
begin
  perform set_config('tuppence.scope', 'service', true);
  update number_series set last_number = last_number + count
   where legal_entity = entity
   returning last_number - count + 1, prefix
   into first_number, number_prefix;
  perform set_config('tuppence.scope', callers_scope, true);
end
$$;

create function statement_line_refuse_unknown() returns trigger
  language plpgsql as $$
begin
  if exists (
    select from new_rows n
     where not exists (select from statement s where s.tenant_id = n.tenant_id and s.statement_id = n.statement_id)
  ) then
    raise exception 'a line is of a statement that does not exist'
      using errcode = 'foreign_key_violation', constraint = 'statement_line_has_a_statement';
  end if;
  if exists (
    select from (select distinct price_id from new_rows) n
     where not exists (select from price p where p.price_id = n.price_id)
  ) then
    raise exception 'a line is at a price that does not exist'
      using errcode = 'foreign_key_violation', constraint = 'statement_line_has_a_price';
  end if;
  if exists (
    select from (select distinct vendor_id from new_rows) n
     where not exists (select from vendor v where v.vendor_id = n.vendor_id)
  ) then
    raise exception 'a line is of a vendor who does not exist'
      using errcode = 'foreign_key_violation', constraint = 'statement_line_has_a_vendor';
  end if;
  return null;
end
$$;

create trigger statement_line_is_of_known_things after insert on statement_line
  referencing new table as new_rows for each statement execute function statement_line_refuse_unknown();
alter table statement_line
  drop constraint statement_line_tenant_id_statement_id_fkey,
  drop constraint statement_line_price_id_fkey,
  drop constraint statement_line_vendor_id_fkey;

create function charge_refuse_unknown() returns trigger
  language plpgsql as $$
begin
  if exists (
    select from (select distinct tenant_id from new_rows) n
     where not exists (select from tenant t where t.tenant_id = n.tenant_id)
  ) then
    raise exception 'a charge is of a tenant who does not exist'
      using errcode = 'foreign_key_violation', constraint = 'charge_has_a_tenant';
  end if;
  if exists (
    select from (select distinct price_id from new_rows) n
     where not exists (select from price p where p.price_id = n.price_id)
  ) then
    raise exception 'a charge is at a price that does not exist'
      using errcode = 'foreign_key_violation', constraint = 'charge_has_a_price';
  end if;
  return null;
end
$$;

create trigger charge_is_of_known_things after insert on charge
  referencing new table as new_rows for each statement execute function charge_refuse_unknown();
alter table charge drop constraint charge_tenant_id_fkey, drop constraint charge_price_id_fkey;

create function ledger_refuse_unsealed_entries() returns trigger
  language plpgsql as $$
declare
  sealed uuid;
begin
  select n.transaction_id into sealed
    from (select distinct tenant_id, transaction_id from new_rows) n
   where not exists (
     select from ledger_transaction t
      where t.tenant_id = n.tenant_id and t.transaction_id = n.transaction_id and t.posted_by = pg_current_xact_id()
   )
   limit 1;
  if found then
    raise exception 'transaction % is sealed: write another one', sealed
      using errcode = 'restrict_violation', constraint = 'ledger_transaction_is_sealed';
  end if;
  return null;
end
$$;

drop trigger ledger_entry_of_open_transaction on ledger_entry;
drop function ledger_refuse_unsealed_entry();
create trigger ledger_entry_of_open_transaction after insert on ledger_entry
  referencing new table as new_rows for each statement execute function ledger_refuse_unsealed_entries();
alter table ledger_entry drop constraint ledger_entry_tenant_id_transaction_id_fkey;

drop trigger ledger_entry_balances on ledger_entry;
create constraint trigger ledger_entry_balances after insert on ledger_entry
  deferrable initially deferred for each row when (not tuppence_closing()) execute function ledger_refuse_imbalance();

-- How far a close has come, for operators: one row for each time that a job found ended months. It is written in the
-- same transaction as the statements that it counts.
create table month_close (
  close_id       uuid        not null,
  started_at     timestamptz not null,
  updated_at     timestamptz not null,
  finished_at    timestamptz,
  accounts       bigint      not null constraint month_close_accounts_counts check (accounts >= 0),
  accounts_total bigint      not null constraint month_close_accounts_total_counts check (accounts_total >= 0),
  statements     bigint      not null default 0 constraint month_close_statements_counts check (statements >= 0),
  failed         bigint      not null default 0 constraint month_close_failed_counts check (failed >= 0),
  primary key (close_id)
);
comment on column month_close.accounts is 'how many have been looked at, of those that there were at the start';

alter table month_close enable row level security;
alter table month_close force row level security;
create policy month_close_of_service on month_close using (tuppence_service()) with check (tuppence_service());
create policy month_close_in_close on month_close using (tuppence_closing()) with check (tuppence_closing());
grant select, insert, update on month_close to tuppence_app;
