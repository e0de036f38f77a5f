-- All payouts in the order of their making. $1 tenant
select p.payout_id, p.vendor_id, p.currency, p.carried_in_micros, p.amount_micros, p.carried_out_micros,
       p.state = 'failed' as came_again
  from payout p
 where p.tenant_id = $1
 order by p.number
