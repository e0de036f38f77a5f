-- Once. $1 tenant, $2 write-off, $3 state, $4 by whom, $5 now
update write_off w set state = $3, decided_by = $4, decided_at = $5
 where w.tenant_id = $1 and w.write_off_id = $2 and w.state = 'proposed'
