-- Once for a cap, a month and a share. $1 tenant, $2 cap, $3 month, $4 percent, $5 spent, $6 when
insert into cap_warning (tenant_id, cap_id, month, percent, spent_micros, warned_at)
values ($1, $2, $3, $4, $5, $6)
on conflict do nothing
