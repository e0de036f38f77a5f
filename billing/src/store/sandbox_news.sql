-- What the sandbox processor has to tell, oldest first. $1 after which, $2 how many
select n.number, n.order_id, n.what, n.fee_micros, o.currency
  from sandbox_news n
  join sandbox_order o on o.order_id = n.order_id
 where n.number > $1
 order by n.number
 limit $2
