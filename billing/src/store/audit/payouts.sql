-- All payouts in the order of their making. $1 tenants, $2 their accounts
select p.tenant_id, p.payout_id, p.vendor_id, p.currency, p.carried_in_micros, p.amount_micros, p.carried_out_micros,
       p.state = 'failed' as came_again
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join payout p on p.tenant_id = a.tenant_id
 order by p.tenant_id, p.number
