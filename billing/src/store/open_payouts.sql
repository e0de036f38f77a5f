-- Payouts whose outcome is not known, whoever's they are. $1 after which, $2 how many
select p.number, p.tenant_id, p.payout_id, p.currency, p.amount_micros, p.attempted_at, d.token
  from payout p
  join payout_destination d on d.tenant_id = p.tenant_id and d.vendor_id = p.vendor_id and d.sequence = p.destination
 where p.state = 'attempted' and p.number > $1
 order by p.number
 limit $2
