-- An account for one of a tenant's people. $1 tenant, $2 account, $3 name, $4 currency, $5 now
insert into account (tenant_id, account_id, kind, name, currency, created_at) values ($1, $2, 'person', $3, $4, $5)
