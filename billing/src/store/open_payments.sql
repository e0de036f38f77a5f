-- Payments whose outcome is not known, whoever's they are, with what the processor needs of them. $1 after which,
-- $2 how many
select p.number, p.tenant_id, p.payment_id, p.account_id, p.currency, p.amount_micros, p.purpose, p.attempted_at, m.token
  from payment p
  join payment_method m on m.tenant_id = p.tenant_id and m.payment_method_id = p.payment_method_id
 where p.state = 'attempted' and p.number > $1
 order by p.number
 limit $2
