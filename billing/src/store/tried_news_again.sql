-- $1 processor, $2 number, $3 why they were not taken in, null if they were, $4 now
update news_set_aside n
   set tries = n.tries + 1, tried_at = $4, reason = coalesce($3, n.reason),
       taken_in_at = case when $3::text is null then $4::timestamptz end
 where n.processor = $1 and n.number = $2 and n.taken_in_at is null
