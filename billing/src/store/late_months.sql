-- Final months that facts came for after they were final. $1 tenant, $2 account
select m.month
  from late_month m
 where m.tenant_id = $1 and m.account_id = $2
