-- A tenant's accounts, newest first. $1 tenant, $2 cursor or null, $3 how many
select a.account_id, a.kind = 'tenant' as is_tenant, a.name, a.currency, a.created_at
  from account a
 where a.tenant_id = $1 and ($2::uuid is null or a.account_id < $2)
 order by a.account_id desc
 limit $3
