-- $1 tenant, $2 account, $3 subscription, $4 plan version, $5 starts, $6 now
insert into subscription (tenant_id, account_id, subscription_id, plan_version_id, starts_at, created_at)
values ($1, $2, $3, $4, $5, $6)
