-- What has gone back of a payment and not come again. $1 tenant, $2 payment
select ((select coalesce(sum(r.amount_micros), 0) from refund r
          where r.tenant_id = $1 and r.payment_id = $2 and r.state <> 'failed')
        + (select coalesce(sum(d.amount_micros), 0) from dispute d
            where d.tenant_id = $1 and d.payment_id = $2 and d.state <> 'won'))::bigint as micros
