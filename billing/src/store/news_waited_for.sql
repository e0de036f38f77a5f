-- What waits about a charge from before some news. $1 processor, $2 charge, $3 number
select n.number
  from news_set_aside n
 where n.processor = $1 and n.charge = $2 and n.number < $3 and n.taken_in_at is null
 order by n.number
 limit 1
