-- $1 close, $2 accounts looked at, $3 statements written, $4 now
update month_close set accounts = accounts + $2, statements = statements + $3, updated_at = $4
 where close_id = $1
