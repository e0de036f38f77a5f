-- All settlements. $1 tenant
select s.settlement_id, s.account_id, s.kind, s.currency, s.amount_micros, s.fee_micros
  from settlement s
 where s.tenant_id = $1
