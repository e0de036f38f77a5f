-- $1 processor, $2 how far, $3 now
insert into processor_news as n (processor, last, updated_at) values ($1, $2, $3)
on conflict (processor) do update set last = greatest(n.last, excluded.last), updated_at = excluded.updated_at
