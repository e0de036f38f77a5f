-- $1 tenant, $2 account, $3 write-off, $4 currency, $5 micros, $6 reason, $7 by whom, $8 now
insert into write_off (tenant_id, account_id, write_off_id, currency, amount_micros, reason, proposed_by, proposed_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict do nothing
