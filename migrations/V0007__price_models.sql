-- More ways to price than graduated tiers: the same for any usage, by the unit, by volume, by the package, a share; each
-- with an allowance, a minimum that grows by the hour, and a cap. Models without tiers keep their one rate where the
-- last tier's rate stands, so that a price has one list of rates whatever its model. A recurring price says by its unit
-- whether it is for a month or a year.

alter table price
  add column model          text   not null default 'graduated' constraint price_model_known
                            check (model in ('flat', 'per_unit', 'graduated', 'volume', 'package', 'percentage')),
  add column included       bigint not null default 0 constraint price_includes_something_or_nothing check (included >= 0),
  add column minimum_micros bigint constraint price_minimum_is_paid check (minimum_micros >= 0),
  add column cap_micros     bigint constraint price_cap_is_paid check (cap_micros >= 0),
  add constraint price_cap_is_above_minimum check (cap_micros >= minimum_micros),
  add constraint price_only_tiers_have_bounds check (model in ('graduated', 'volume') or cardinality(tier_up_to) = 0),
  add constraint price_share_is_all_at_most check (model <> 'percentage' or tier_rate_micros[1] <= 1000000),
  add constraint price_recurring_is_plain check (
    meter is not null
    or unit in ('month', 'year') and included = 0 and minimum_micros is null and cap_micros is null
  );
comment on column price.tier_rate_micros is 'micros for each unit within the tier; millionths where the model is a percentage';
comment on column price.included is 'in the meter''s own unit, free before the model applies';
