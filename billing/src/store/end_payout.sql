-- Once. $1 tenant, $2 payout, $3 state, $4 detail, $5 now
update payout p set state = $3, detail = $4, ended_at = $5
 where p.tenant_id = $1 and p.payout_id = $2 and p.state = 'attempted'
