-- $1 from when on, which is now, $2 country, $3 VAT number or null
insert into seller (valid_from, country, vat_id, created_at)
values ($1, $2, $3, $1)
on conflict do nothing
