-- The payouts of a vendor, newest first, or one payout. $1 tenant, $2 vendor or null, $3 payout or null, $4 how many
select p.payout_id, p.vendor_id, p.currency, p.carried_in_micros, p.amount_micros, p.carried_out_micros, p.state, p.detail,
       p.attempted_at, p.ended_at, d.label
  from payout p
  join payout_destination d on d.tenant_id = p.tenant_id and d.vendor_id = p.vendor_id and d.sequence = p.destination
 where p.tenant_id = $1 and ($2::uuid is null or p.vendor_id = $2) and ($3::uuid is null or p.payout_id = $3)
 order by p.number desc
 limit $4
