-- What an account said last about paying. $1 tenant, $2 account
select s.sequence, s.payment_method_id, s.at_least_micros, s.top_up_micros, s.top_up_ceiling_micros, a.currency
  from account a
  left join payment_setting s
    on s.tenant_id = a.tenant_id and s.account_id = a.account_id
   and s.sequence = (select max(l.sequence) from payment_setting l
                      where l.tenant_id = a.tenant_id and l.account_id = a.account_id)
 where a.tenant_id = $1 and a.account_id = $2
