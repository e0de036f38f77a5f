-- Once. $1 tenant, $2 refund, $3 state, $4 detail, $5 now
update refund r set state = $3, detail = $4, ended_at = $5
 where r.tenant_id = $1 and r.refund_id = $2 and r.state = 'attempted'
