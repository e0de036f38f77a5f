-- Payments of a tenant, newest first: of one account or all, or one of them. $1 tenant, $2 account or null,
-- $3 payment or null, $4 cursor or null, $5 how many
select p.payment_id, p.account_id, p.purpose, p.payment_method_id, p.currency, p.amount_micros, p.why, p.state,
       p.detail, p.fee_micros, p.attempted_at, p.ended_at
  from payment p
 where p.tenant_id = $1 and ($2::uuid is null or p.account_id = $2) and ($3::uuid is null or p.payment_id = $3)
   and ($4::uuid is null
        or p.number < (select c.number from payment c where c.tenant_id = $1 and c.payment_id = $4))
 order by p.number desc
 limit $5
