-- $1 tenant, $2 cap, $3 now
update spending_cap set ended_at = $3 where tenant_id = $1 and cap_id = $2 and ended_at is null
