-- What accounts were given, a row for each that became of it. $1 tenants, $2 their accounts
select g.tenant_id, g.account_id, g.credit_id, g.amount_micros, g.currency, g.expires_at, u.statement_id,
       coalesce(u.kind = 'expired', false) as expired, u.amount_micros as used_micros
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join credit_grant g on g.tenant_id = a.tenant_id and g.account_id = a.account_id
  left join credit_use u on u.tenant_id = g.tenant_id and u.credit_id = g.credit_id
 order by g.tenant_id, g.account_id, g.credit_id
