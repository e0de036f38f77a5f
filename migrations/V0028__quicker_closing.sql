-- What a month's close spent most on, besides writing its rows, was being checked one row at a time. The rules stay what they
-- were; they are asked in ways that cost less.
--
-- A regular expression with a bounded repetition is worked out anew for every value: eight microseconds for each entry, an
-- eighth of a whole close. The same names are told by their parts in one.
--
-- A foreign key costs a query and a row lock for every row, and the lock dirties the row's page: the accounts and tenants of
-- a close are all over their tables. What they refer to is never deleted and keeps its id, which is a rule of its own from here on,
-- so it is enough to look once for as many rows as there are.
--
-- Whether a close's transactions add to zero was asked at commit, one transaction at a time. A close writes them whole, heads and
-- entries in one statement of SQL, and so they are looked at together. Whatever is not a close is checked at commit as before.
-- A process of the version before, which writes them one after the other, is refused its pages; the next one closes them.
--
-- Two indexes served late usage only, which looks for what was charged for one month. The statements since then lead there, too,
-- and each row of a line or a charge is written with an index less.

alter table ledger_entry
  drop constraint ledger_entry_account_known,
  add constraint ledger_entry_account_known check (
    split_part(ledger_account, ':', 1) in ('receivable', 'carried', 'wallet', 'credits', 'deferred', 'revenue', 'payable')
      and octet_length(substr(ledger_account, strpos(ledger_account, ':') + 1)) = 36
      and substr(ledger_account, strpos(ledger_account, ':') + 1) ~ '^[0-9a-f-]*$'
    or ledger_account in ('processor', 'processor_fees', 'platform_share', 'promotions', 'written_off', 'rounding')
    or ledger_account ~ '^tax:[A-Z]{2}$'
  );

create function tuppence_refuse_removal() returns trigger
  language plpgsql as $$
begin
  raise exception '% is never deleted and keeps its id: what is history refers to it', tg_table_name
    using errcode = 'restrict_violation', constraint = tg_table_name || '_is_never_deleted';
end
$$;
create trigger tenant_is_never_deleted before delete or update of tenant_id on tenant
  for each row execute function tuppence_refuse_removal();
create trigger account_is_never_deleted before delete or update of tenant_id, account_id on account
  for each row execute function tuppence_refuse_removal();
create trigger number_series_is_never_deleted before delete or update of legal_entity on number_series
  for each row execute function tuppence_refuse_removal();
-- Or all at once.
create trigger tenant_is_never_emptied before truncate on tenant
  for each statement execute function tuppence_refuse_removal();
create trigger account_is_never_emptied before truncate on account
  for each statement execute function tuppence_refuse_removal();
create trigger number_series_is_never_emptied before truncate on number_series
  for each statement execute function tuppence_refuse_removal();

-- Always by index, row by row: the plan is made once in a session, perhaps while the tables are small.
create function statement_refuse_unknown() returns trigger
  language plpgsql
  set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set jit = off as $$
declare
  callers_scope constant text := coalesce(current_setting('tuppence.scope', true), '');
  has_series boolean;
begin
  if exists (
    select from new_rows n
     where not exists (select from account a where a.tenant_id = n.tenant_id and a.account_id = n.account_id)
  ) then
    raise exception 'a statement is of an account that does not exist'
      using errcode = 'foreign_key_violation', constraint = 'statement_has_an_account';
  end if;
  perform set_config('tuppence.scope', 'service', true); -- who may see series
  has_series := not exists (
    select from (select distinct legal_entity from new_rows) n
     where not exists (select from number_series s where s.legal_entity = n.legal_entity)
  );
  perform set_config('tuppence.scope', callers_scope, true);
  if not has_series then
    raise exception 'a statement is of a legal entity that has no numbers'
      using errcode = 'foreign_key_violation', constraint = 'statement_has_a_series';
  end if;
  return null;
end
$$;
create trigger statement_is_of_known_things after insert on statement
  referencing new table as new_rows for each statement execute function statement_refuse_unknown();
alter table statement
  drop constraint statement_tenant_id_account_id_fkey,
  drop constraint statement_legal_entity_fkey;

create function ledger_transaction_refuse_unknown() returns trigger
  language plpgsql
  set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set jit = off as $$
begin
  if exists (
    select from (select distinct tenant_id from new_rows) n
     where not exists (select from tenant t where t.tenant_id = n.tenant_id)
  ) then
    raise exception 'a transaction is of a tenant who does not exist'
      using errcode = 'foreign_key_violation', constraint = 'ledger_transaction_has_a_tenant';
  end if;
  return null;
end
$$;
create trigger ledger_transaction_is_of_known_things after insert on ledger_transaction
  referencing new table as new_rows for each statement execute function ledger_transaction_refuse_unknown();
alter table ledger_transaction drop constraint ledger_transaction_tenant_id_fkey;

-- Of a page's lines a statement has several: it is looked for once.
create or replace function statement_line_refuse_unknown() returns trigger
  language plpgsql
  set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set jit = off as $$
begin
  if exists (
    select from (select distinct tenant_id, statement_id from new_rows) n
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

-- What this database transaction has begun is a page's at most: as a set, without a lookup for each.
create or replace function ledger_refuse_unsealed_entries() returns trigger
  language plpgsql
  set enable_seqscan = off set jit = off as $$
declare
  sealed uuid;
begin
  select n.transaction_id into sealed
    from (
      select tenant_id, transaction_id from new_rows
      except
      select t.tenant_id, t.transaction_id from ledger_transaction t where t.posted_by = pg_current_xact_id()
    ) n
   limit 1;
  if found then
    raise exception 'transaction % is sealed: write another one', sealed
      using errcode = 'restrict_violation', constraint = 'ledger_transaction_is_sealed';
  end if;
  return null;
end
$$;

-- In a close every statement of SQL adds to zero by itself, so all of them together do.
create function ledger_refuse_unbalanced_entries() returns trigger
  language plpgsql as $$
declare
  unbalanced uuid;
  off numeric;
begin
  select n.transaction_id, sum(n.amount_micros) into unbalanced, off
    from new_rows n
   group by n.tenant_id, n.transaction_id, n.currency
  having sum(n.amount_micros) <> 0
   limit 1;
  if found then
    raise exception 'the entries of transaction % are off by % micros', unbalanced, off
      using errcode = 'check_violation', constraint = 'ledger_transaction_balances';
  end if;
  return null;
end
$$;
create trigger ledger_entry_balances_in_close after insert on ledger_entry
  referencing new table as new_rows for each statement when (tuppence_closing())
  execute function ledger_refuse_unbalanced_entries();

create function ledger_refuse_without_entries() returns trigger
  language plpgsql
  set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set jit = off as $$
declare
  empty uuid;
begin
  select n.transaction_id into empty
    from new_rows n
   where not exists (
     select from ledger_entry e where e.tenant_id = n.tenant_id and e.transaction_id = n.transaction_id
   )
   limit 1;
  if found then
    raise exception 'transaction % has no entries', empty
      using errcode = 'check_violation', constraint = 'ledger_transaction_has_entries';
  end if;
  return null;
end
$$;
create trigger ledger_transaction_has_entries_in_close after insert on ledger_transaction
  referencing new table as new_rows for each statement when (tuppence_closing())
  execute function ledger_refuse_without_entries();

drop trigger ledger_transaction_balances on ledger_transaction;
create constraint trigger ledger_transaction_balances after insert on ledger_transaction
  deferrable initially deferred for each row when (not tuppence_closing()) execute function ledger_refuse_imbalance();

drop index charge_by_price;
drop index statement_line_by_month;
