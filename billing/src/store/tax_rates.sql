-- All rates, by country.
select r.country, r.class, r.valid_from, r.rate_millionths, r.source
  from tax_rate r
 order by r.country, r.class desc, r.valid_from
