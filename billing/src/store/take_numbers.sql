-- The next numbers of a series. $1 legal entity, $2 how many
select n.first_number, n.number_prefix from tuppence_take_numbers($1::text, $2::bigint) n
