-- Once. $1 tenant, $2 payment, $3 state, $4 now
update dispute d set state = $3, ended_at = $4
 where d.tenant_id = $1 and d.payment_id = $2 and d.state = 'opened'
returning d.dispute_id
