-- Whose a payment is, in collect scope. $1 payment
select p.tenant_id from payment p where p.payment_id = $1
