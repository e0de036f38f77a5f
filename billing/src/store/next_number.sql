-- $1 legal entity
select $1::text as legal_entity, n.series_number, n.number from tuppence_next_number($1::text) n
