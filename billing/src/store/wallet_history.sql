-- What filled an account's wallet, oldest first, and what has been drawn from it so far. $1 tenant, $2 account
select p.amount_micros, p.fee_micros, p.currency,
       (select coalesce(sum(s.amount_micros), 0)::bigint from settlement s
         where s.tenant_id = p.tenant_id and s.account_id = p.account_id and s.kind = 'wallet') as drawn_micros
  from payment p
 where p.tenant_id = $1 and p.account_id = $2 and p.purpose in ('top_up', 'refill') and p.state = 'succeeded'
 order by p.number
