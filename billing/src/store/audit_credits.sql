-- What an account was given, a row for each that became of it. $1 tenant, $2 account
select g.credit_id, g.amount_micros, g.currency, g.expires_at, u.statement_id, coalesce(u.kind = 'expired', false) as expired,
       u.amount_micros as used_micros
  from credit_grant g
  left join credit_use u on u.tenant_id = g.tenant_id and u.credit_id = g.credit_id
 where g.tenant_id = $1 and g.account_id = $2
 order by g.credit_id
