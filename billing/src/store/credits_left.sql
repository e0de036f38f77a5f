-- What is left of the credits of accounts. $1 tenants, $2 their accounts
select g.tenant_id, g.account_id, g.credit_id, g.reason, g.expires_at, g.currency, g.amount_micros,
       g.amount_micros - coalesce((
         select sum(u.amount_micros) from credit_use u where u.tenant_id = g.tenant_id and u.credit_id = g.credit_id
       ), 0)::bigint as left_micros
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join credit_grant g on g.tenant_id = a.tenant_id and g.account_id = a.account_id
