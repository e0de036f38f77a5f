-- The auditor looks at many accounts at once: with a transaction for each, a million of them took most of an hour, nearly all
-- of it in asking.
--
-- A scope of its own: a transaction that says `set local tuppence.scope = 'audit'` reads everybody's books and writes nothing.

create function tuppence_auditing() returns boolean
  language sql stable
  return coalesce(current_setting('tuppence.scope', true) = 'audit', false);

do $$
declare
  kept text;
begin
  foreach kept in array array[
    'tenant', 'account', 'vendor', 'plan', 'plan_version', 'price', 'subscription', 'subscription_change',
    'leg', 'usage_fact', 'meter', 'event', 'reading', 'late_month',
    'statement', 'statement_line', 'charge', 'statement_tax', 'account_tax', 'seller', 'tax_rate',
    'coupon', 'coupon_redemption', 'credit_grant', 'credit_use', 'credit_note', 'credit_note_line', 'credit_note_tax',
    'ledger_transaction', 'ledger_entry', 'payment', 'settlement', 'settlement_part', 'allocation',
    'refund', 'dispute', 'payout', 'payout_line', 'write_off', 'payment_method', 'payment_setting'
  ] loop
    execute format('create policy %I on %I for select using (tuppence_auditing())', kept || '_in_audit', kept);
  end loop;
end
$$;
