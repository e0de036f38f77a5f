-- News that were set aside and are due: after the first try at once, then after twice as long each time, an hour at most.
-- $1 processor, $2 now, $3 how many
select n.number, n.charge, n.what, n.fee_micros, n.currency
  from news_set_aside n
 where n.processor = $1 and n.taken_in_at is null
   and n.tried_at + least(interval '1 second' * (2 ^ least(n.tries, 20) - 2), interval '1 hour') <= $2
 order by n.number
 limit $3
