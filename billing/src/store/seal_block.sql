-- $1 about how many transactions, $2 now
select tuppence_seal_block($1, $2) as sealed
