-- Double entry. Every cent that anyone owes or earned is an entry here, the entries of a transaction add to zero per
-- currency, and nothing is ever changed or deleted: a mistake is corrected by another transaction. Balances are derived.
--
-- The database enforces all of it, so that no code path can do otherwise: application and owner alike are refused
-- updates and deletes, a transaction is checked when it commits, and it is sealed then: entries can only be written by
-- the database transaction that wrote their head. A debit is positive.

create table ledger_transaction (
  tenant_id      uuid        not null references tenant (tenant_id),
  transaction_id uuid        not null,
  kind           text        not null constraint ledger_transaction_kind_known check (kind in ('statement')),
  posted_by      xid8        not null default pg_current_xact_id(),
  created_at     timestamptz not null,
  primary key (tenant_id, transaction_id)
);
comment on column ledger_transaction.transaction_id is 'made by the caller: a retry finds it; a statement''s is its statement_id';

create table ledger_entry (
  tenant_id      uuid        not null,
  transaction_id uuid        not null,
  ledger_account text        not null constraint ledger_entry_account_known
                             check (ledger_account ~ '^(receivable|carried|revenue):[0-9a-f-]{36}$'),
  currency       char(3)     not null constraint ledger_entry_currency_is_iso check (currency ~ '^[A-Z]{3}$'),
  amount_micros  bigint      not null constraint ledger_entry_is_something check (amount_micros <> 0),
  created_at     timestamptz not null,
  primary key (tenant_id, transaction_id, ledger_account, currency),
  foreign key (tenant_id, transaction_id) references ledger_transaction (tenant_id, transaction_id)
);
create index ledger_entry_by_account on ledger_entry (tenant_id, ledger_account, currency);

create function ledger_refuse_unsealed_entry() returns trigger
  language plpgsql as $$
begin
  if not exists (
    select from ledger_transaction t
     where t.tenant_id = new.tenant_id and t.transaction_id = new.transaction_id
       and t.posted_by = pg_current_xact_id()
  ) then
    raise exception 'transaction % is sealed: write another one', new.transaction_id
      using errcode = 'restrict_violation', constraint = 'ledger_transaction_is_sealed';
  end if;
  return new;
end
$$;

-- Runs at commit. Sees nothing, and therefore refuses, when the tenant was switched in between.
create function ledger_refuse_imbalance() returns trigger
  language plpgsql as $$
declare
  entries bigint;
  off numeric;
begin
  select count(*), coalesce(max(abs(c.sum)), 0) into entries, off
    from (select sum(e.amount_micros) as sum
            from ledger_entry e
           where e.tenant_id = new.tenant_id and e.transaction_id = new.transaction_id
           group by e.currency) c;
  if entries = 0 then
    raise exception 'transaction % has no entries', new.transaction_id
      using errcode = 'check_violation', constraint = 'ledger_transaction_has_entries';
  end if;
  if off <> 0 then
    raise exception 'the entries of transaction % are off by % micros', new.transaction_id, off
      using errcode = 'check_violation', constraint = 'ledger_transaction_balances';
  end if;
  return null;
end
$$;

create trigger ledger_entry_of_open_transaction before insert on ledger_entry
  for each row execute function ledger_refuse_unsealed_entry();
create constraint trigger ledger_transaction_balances after insert on ledger_transaction
  deferrable initially deferred for each row execute function ledger_refuse_imbalance();
create constraint trigger ledger_entry_balances after insert on ledger_entry
  deferrable initially deferred for each row execute function ledger_refuse_imbalance();

create trigger ledger_transaction_is_append_only before update or delete on ledger_transaction
  for each row execute function tuppence_refuse_change();
create trigger ledger_transaction_is_never_emptied before truncate on ledger_transaction
  for each statement execute function tuppence_refuse_change();
create trigger ledger_entry_is_append_only before update or delete on ledger_entry
  for each row execute function tuppence_refuse_change();
create trigger ledger_entry_is_never_emptied before truncate on ledger_entry
  for each statement execute function tuppence_refuse_change();

alter table ledger_transaction enable row level security;
alter table ledger_transaction force row level security;
create policy ledger_transaction_of_tenant on ledger_transaction
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());

alter table ledger_entry enable row level security;
alter table ledger_entry force row level security;
create policy ledger_entry_of_tenant on ledger_entry
  using (tenant_id = tuppence_tenant()) with check (tenant_id = tuppence_tenant());

grant select, insert on ledger_transaction, ledger_entry to tuppence_app;
