-- $1 close, $2 now
insert into month_close (close_id, started_at, updated_at, accounts, accounts_total)
select $1, $2, $2, 0, count(*) from account a
