-- Ends the cap of an account and key, if there is one. $1 tenant, $2 account, $3 key or null, $4 now
update spending_cap set ended_at = $4
 where tenant_id = $1 and account_id = $2 and key_id is not distinct from $3::uuid and ended_at is null
