-- News that could not be taken in so far, oldest first. $1 how many
select n.processor, n.number, n.charge, n.what, n.reason
  from news_set_aside n
 where n.taken_in_at is null
 order by n.set_aside_at, n.processor, n.number
 limit $1
