-- Write-offs that somebody else approved. $1 tenants, $2 their accounts
select w.tenant_id, w.write_off_id, w.account_id, w.amount_micros, w.currency
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join write_off w on w.tenant_id = a.tenant_id and w.state = 'approved' and w.decided_by <> w.proposed_by
