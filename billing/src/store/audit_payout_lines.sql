-- What payouts are made of. $1 tenant
select l.payout_id, l.transaction_id, l.amount_micros from payout_line l where l.tenant_id = $1
