-- $1 tenant, $2 cap, $3 account, $4 one of its keys that is not revoked or null, $5 limit, $6 currency, $7 now
insert into spending_cap (tenant_id, cap_id, account_id, key_id, limit_micros, currency, created_at)
select $1, $2, $3, $4::uuid, $5, $6::text, $7
 where $4::uuid is null
    or exists (select from api_key k where k.tenant_id = $1 and k.key_id = $4::uuid and k.revoked_at is null)
