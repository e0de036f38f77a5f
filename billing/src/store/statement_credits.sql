-- What became of credits when a statement was made final. $1 tenant, $2 statement
select u.credit_id, u.kind, u.amount_micros, u.currency, g.reason
  from credit_use u
  join credit_grant g on g.tenant_id = u.tenant_id and g.credit_id = u.credit_id
 where u.tenant_id = $1 and u.statement_id = $2
 order by g.expires_at, u.credit_id
