-- $1 close, $2 accounts looked at, $3 accounts that failed, $4 now
update month_close set accounts = accounts + $2, failed = $3, updated_at = $4, finished_at = $4
 where close_id = $1
