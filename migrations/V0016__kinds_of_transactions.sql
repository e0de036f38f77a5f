-- Statements were the only transactions. What else moves money is named here, each kind by what happened: a correction of
-- a final statement; a credit given, and one that ran out; money put into a wallet and taken from it; a collection, what
-- came back of one, and a payer's objection; what will never be paid; a vendor's share, and its payout.

alter table ledger_transaction
  drop constraint ledger_transaction_kind_known,
  add constraint ledger_transaction_kind_known check (kind in (
    'statement', 'credit_note', 'credit', 'credit_expiry', 'top_up', 'wallet', 'collection', 'refund', 'dispute',
    'write_off', 'share', 'payout'
  ));
