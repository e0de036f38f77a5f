-- The credits of an account, newest first, and what became of each. $1 tenant, $2 account
select g.credit_id, g.reason, g.expires_at, g.granted_at, g.currency, g.amount_micros,
       coalesce(u.used, 0)::bigint as used_micros, coalesce(u.expired, 0)::bigint as expired_micros
  from credit_grant g
  left join lateral (
    select sum(u.amount_micros) filter (where u.kind = 'used') as used,
           sum(u.amount_micros) filter (where u.kind = 'expired') as expired
      from credit_use u
     where u.tenant_id = g.tenant_id and u.credit_id = g.credit_id
  ) u on true
 where g.tenant_id = $1 and g.account_id = $2
 order by g.credit_id desc
 limit 1000
