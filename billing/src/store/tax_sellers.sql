-- Where the operator was at home, from when on.
select s.valid_from, s.country, s.vat_id from seller s order by s.valid_from
