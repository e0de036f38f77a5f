-- Tampering shows. The database refuses changes to the ledger, but whoever owns the server can switch refusals off. So
-- committed transactions are sealed into blocks: a block's hash covers the hash before it and every byte of meaning of the
-- transactions in it. Whoever edits, removes, adds or reorders anything later must forge every block from there on, and a
-- hash that was written down elsewhere no longer matches.
--
-- Writers do not wait for it. A job seals what has been committed, some seconds later. Which transactions belong to a block
-- needs no mark on them: those whose database transaction lies in a half-open range of ids below the oldest one that
-- still runs, so that nothing can ever be added to the range. Within it they are ordered by that id, tenant and own id.
--
-- Hashes are SHA-256. A transaction's is over lines of UTF-8 that end in a newline: `tenant|id|kind|database transaction|
-- microseconds since 1970`, then `account|currency|micros` for each entry in the order of account (byte by byte) and
-- currency. A block's is over the 32 bytes before it, the line `number|first|end|count`, and its transactions' hashes in order.

create table ledger_block (
  number        bigint      not null constraint ledger_block_counts_from_one check (number >= 1),
  previous_hash bytea       not null constraint ledger_block_previous_hash_size check (octet_length(previous_hash) = 32),
  hash          bytea       not null constraint ledger_block_hash_size check (octet_length(hash) = 32),
  first_xid     xid8        not null,
  end_xid       xid8        not null,
  transactions  bigint      not null constraint ledger_block_is_not_empty check (transactions >= 1),
  created_at    timestamptz not null,
  primary key (number),
  constraint ledger_block_follows_one unique (previous_hash),
  constraint ledger_block_covers_something check (first_xid < end_xid)
);
comment on column ledger_block.end_xid is 'the first database transaction that is not in the block, and the next block''s first';

create index ledger_transaction_by_xid on ledger_transaction (posted_by);

create function tuppence_sealing() returns boolean
  language sql stable
  return coalesce(current_setting('tuppence.scope', true) = 'seal', false);

create policy ledger_transaction_in_seal on ledger_transaction for select using (tuppence_sealing());
create policy ledger_entry_in_seal on ledger_entry for select using (tuppence_sealing());

alter table ledger_block enable row level security;
alter table ledger_block force row level security;
create policy ledger_block_read on ledger_block for select using (tuppence_sealing());
create policy ledger_block_in_seal on ledger_block for insert with check (tuppence_sealing());
grant select, insert on ledger_block to tuppence_app;

create trigger ledger_block_is_append_only before update or delete on ledger_block
  for each row execute function tuppence_refuse_change();
create trigger ledger_block_is_never_emptied before truncate on ledger_block
  for each statement execute function tuppence_refuse_change();

-- Seals the next block of about so many transactions; a database transaction is never cut. False if there is nothing to
-- seal. One seals at a time: who comes second waits and continues from there.
create function tuppence_seal_block(transactions_about bigint, at timestamptz) returns boolean
  language plpgsql volatile as $$
declare
  last ledger_block;
  first_of xid8;
  end_of xid8;
  running constant xid8 := pg_snapshot_xmin(pg_current_snapshot());
  digests bytea;
  sealed bigint;
begin
  perform pg_advisory_xact_lock(hashtextextended('tuppence ledger chain', 0));
  select * into last from ledger_block b order by b.number desc limit 1;
  if not found then
    last.number := 0;
    last.hash := decode(repeat('00', 32), 'hex');
    last.end_xid := '0'::xid8;
  end if;
  first_of := last.end_xid;
  select t.posted_by into end_of
    from ledger_transaction t
   where t.posted_by >= first_of and t.posted_by < running
   order by t.posted_by
  offset transactions_about limit 1;
  if end_of = (select min(t.posted_by) from ledger_transaction t where t.posted_by >= first_of) then
    end_of := (select min(t.posted_by) from ledger_transaction t where t.posted_by > end_of and t.posted_by < running);
  end if;
  end_of := coalesce(end_of, running);
  select string_agg(d.digest, '' order by d.posted_by, d.tenant_id, d.transaction_id), count(*) into digests, sealed
    from (
      select t.posted_by, t.tenant_id, t.transaction_id,
             sha256(convert_to(
               concat_ws('|', t.tenant_id, t.transaction_id, t.kind, t.posted_by,
                         (extract(epoch from t.created_at) * 1000000)::bigint) || chr(10)
               || string_agg(e.ledger_account || '|' || e.currency || '|' || e.amount_micros || chr(10), ''
                             order by e.ledger_account collate "C", e.currency collate "C"),
               'UTF8')) as digest
        from ledger_transaction t
        join ledger_entry e on e.tenant_id = t.tenant_id and e.transaction_id = t.transaction_id
       where t.posted_by >= first_of and t.posted_by < end_of
       group by t.tenant_id, t.transaction_id
    ) d;
  if sealed = 0 then
    return false;
  end if;
  insert into ledger_block (number, previous_hash, hash, first_xid, end_xid, transactions, created_at)
  values (
    last.number + 1, last.hash,
    sha256(last.hash
           || convert_to(concat_ws('|', last.number + 1, first_of, end_of, sealed) || chr(10), 'UTF8')
           || digests),
    first_of, end_of, sealed, at
  );
  return true;
end
$$;
