-- Statements with their lines and taxes, and their numbers: the next ones of their series, in the order of the statements.
-- Whoever takes numbers holds the series until the transaction ends, so the numbers are taken when the rest is written;
-- that all of it belongs together is checked when all of it is there. A column each:
-- $1 legal entity, then of lines: $2 tenants, $3 statements, $4 lines, $5 positions, $6 kinds, $7 descriptions, $8 meters,
-- $9 quantities, $10 units, $11 their sizes, $12 included, $13 rates, $14 micros, $15 currencies, $16 months,
-- $17 subscriptions, $18 prices, $19 vendors, $20 when, $21 places in the breakdown, $22 coupons,
-- $23 the lines that they discount; of taxes: $24 tenants, $25 statements, $26 positions, $27 categories, $28 countries,
-- $29 rates, $30 whether prices include the tax, $31 reasons, $32 to $34 micros as priced, taxable and of tax,
-- $35 currencies, $36 when; of statements: $37 tenants, $38 accounts, $39 statements, $40 and $41 the months' bounds,
-- $42 as of, $43 currencies, $44 to $49 micros, $50 and $51 what happens to the tab and why, $52 when,
-- $53 and $54 micros of tax, all and on top, $55 micros paid by credits
with lines as (
  insert into statement_line (
    tenant_id, statement_id, line_id, position, kind, description, meter, quantity, unit, unit_size, included,
    rate_micros, amount_micros, currency, month, subscription_id, price_id, vendor_id, created_at, tax_group,
    coupon_id, discounts
  )
  select l.*
    from unnest(
      $2::uuid[], $3::uuid[], $4::uuid[], $5::integer[], $6::text[], $7::text[], $8::text[], $9::bigint[], $10::text[],
      $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::text[], $16::date[], $17::uuid[], $18::uuid[],
      $19::uuid[], $20::timestamptz[], $21::integer[], $22::uuid[], $23::uuid[]
    ) as l
  returning 1
), taxes as (
  insert into statement_tax (
    tenant_id, statement_id, position, category, country, rate_millionths, prices_include_tax, reason, priced_micros,
    taxable_micros, tax_micros, currency, created_at
  )
  select t.*
    from unnest(
      $24::uuid[], $25::uuid[], $26::integer[], $27::text[], $28::text[], $29::bigint[], $30::boolean[], $31::text[],
      $32::bigint[], $33::bigint[], $34::bigint[], $35::text[], $36::timestamptz[]
    ) as t
  returning 1
), written as materialized (
  select (select count(*) from lines) as lines, (select count(*) from taxes) as taxes
), taken as materialized (
  -- Not all written: no numbers, and so an error.
  select n.first_number, n.number_prefix
    from written w,
         tuppence_take_numbers(
           $1::text,
           case when w.lines = cardinality($4::uuid[]) and w.taxes = cardinality($25::uuid[])
                then cardinality($39::uuid[]) end
         ) n
), numbered as (
  select s.*, t.first_number + s.place - 1 as series_number, t.number_prefix
    from taken t,
         unnest(
           $37::uuid[], $38::uuid[], $39::uuid[], $40::timestamptz[], $41::timestamptz[], $42::timestamptz[], $43::text[],
           $44::bigint[], $45::bigint[], $46::bigint[], $47::bigint[], $48::bigint[], $49::bigint[], $50::text[],
           $51::text[], $52::timestamptz[], $53::bigint[], $54::bigint[], $55::bigint[]
         ) with ordinality as s (
           tenant_id, account_id, statement_id, period_start, period_end, as_of, currency, subtotal, carried_in, total,
           carried_out, tab_before, tab_after, decision, why, finalized_at, tax, tax_on_top, credits, place
         )
)
insert into statement (
  tenant_id, account_id, statement_id, legal_entity, series_number, number, period_start, period_end, as_of, currency,
  subtotal_micros, carried_in_micros, total_micros, carried_out_micros, tab_before_micros,
  tab_after_micros, collect_decision, collect_why, finalized_at, tax_micros, tax_on_top_micros,
  credits_micros
)
select s.tenant_id, s.account_id, s.statement_id, $1::text, s.series_number,
       s.number_prefix || '-' || lpad(s.series_number::text, greatest(6, length(s.series_number::text)), '0'),
       s.period_start, s.period_end, s.as_of, s.currency, s.subtotal, s.carried_in, s.total, s.carried_out, s.tab_before,
       s.tab_after, s.decision, s.why, s.finalized_at, s.tax, s.tax_on_top, s.credits
  from numbered s
 order by s.place
returning statement_id, number
