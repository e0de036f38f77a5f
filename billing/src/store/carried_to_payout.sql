-- What the last payout left, and whether it is still under way. $1 tenant, $2 vendor, $3 currency
select p.carried_out_micros, p.state = 'attempted' as under_way
  from payout p
 where p.tenant_id = $1 and p.vendor_id = $2 and p.currency = $3::text
 order by p.number desc
 limit 1
