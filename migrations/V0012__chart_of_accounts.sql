-- Every account of the chart (docs/billing.md, billing/src/ledger.rs) may be posted to, not only the three that statements
-- use: the constraint that names them is made again with all of them.

alter table ledger_entry
  drop constraint ledger_entry_account_known,
  add constraint ledger_entry_account_known check (ledger_account ~
    '^((receivable|carried|wallet|credits|deferred|revenue|payable):[0-9a-f-]{36}|tax:[A-Z]{2}|processor|processor_fees|platform_share|written_off|rounding)$'
  );

-- The rules that look at all rows of a statement are planned once in a session, perhaps while their tables are small; by
-- the end of a close these have millions of rows. So the plan is always the one that grows with the statement's rows and
-- not with the tables: by index, row by row.
alter function statement_line_refuse_unknown()
  set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set jit = off;
alter function charge_refuse_unknown()
  set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set jit = off;
alter function ledger_refuse_unsealed_entries()
  set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set jit = off;
