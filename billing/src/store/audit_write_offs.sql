-- Write-offs that somebody else approved. $1 tenant
select w.write_off_id, w.account_id, w.amount_micros, w.currency
  from write_off w
 where w.tenant_id = $1 and w.state = 'approved' and w.decided_by <> w.proposed_by
