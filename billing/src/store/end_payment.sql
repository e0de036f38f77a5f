-- Once. $1 tenant, $2 payment, $3 state, $4 failure, $5 detail, $6 reference, $7 fee, $8 now
update payment p
   set state = $3, failure = $4, detail = $5, reference = $6, fee_micros = $7, ended_at = $8
 where p.tenant_id = $1 and p.payment_id = $2 and p.state = 'attempted'
