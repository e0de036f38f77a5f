-- $1 parent table, $2 month
select tuppence_make_partition($1, $2)
