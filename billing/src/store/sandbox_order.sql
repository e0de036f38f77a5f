-- What the sandbox processor knows of an order. $1 order
select o.order_id, o.kind, o.target, o.payer, o.currency, o.amount_micros, o.answered, o.outcome, o.detail, o.fee_micros
  from sandbox_order o
 where o.order_id = $1
