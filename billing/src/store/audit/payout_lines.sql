-- What payouts are made of. $1 tenants, $2 their accounts
select l.tenant_id, l.payout_id, l.transaction_id, l.amount_micros
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join payout_line l on l.tenant_id = a.tenant_id
