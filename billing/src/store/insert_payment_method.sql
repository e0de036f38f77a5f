-- $1 tenant, $2 account, $3 method, $4 processor, $5 rail, $6 token, $7 label, $8 now
insert into payment_method (tenant_id, account_id, payment_method_id, processor, rail, token, label, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
