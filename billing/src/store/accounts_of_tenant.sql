-- A tenant's accounts, its own and its people's. $1 tenant
select a.account_id from account a where a.tenant_id = $1 order by a.account_id
