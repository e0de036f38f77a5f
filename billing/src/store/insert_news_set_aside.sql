-- $1 processor, $2 number, $3 charge, $4 what, $5 its fee if it has one, $6 the fee's currency, $7 reason, $8 now
insert into news_set_aside (processor, number, charge, what, fee_micros, currency, reason, set_aside_at, tried_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $8)
on conflict (processor, number) do nothing
