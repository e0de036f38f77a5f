-- Final statements of accounts in short, an account's oldest first. $1 tenants, $2 their accounts
select s.tenant_id, s.account_id, s.period_start, s.total_micros - s.credits_micros as payable_micros, s.carried_out_micros, s.currency
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join statement s on s.tenant_id = a.tenant_id and s.account_id = a.account_id
 order by s.tenant_id, s.account_id, s.period_start
