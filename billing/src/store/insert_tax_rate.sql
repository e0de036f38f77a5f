-- $1 country, $2 class, $3 first day, $4 millionths, $5 source, $6 now
insert into tax_rate (country, class, valid_from, rate_millionths, source, created_at)
values ($1, $2, $3, $4, $5, $6)
on conflict do nothing
