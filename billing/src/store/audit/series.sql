-- How many numbers each series has given out.
select s.legal_entity, s.prefix, s.last_number from number_series s order by s.legal_entity
