-- Whose settlements are. $1 tenant
select p.settlement_id, p.ledger_account, p.passed_on, p.gross_micros, p.platform_per_mille, p.platform_micros, p.fee_micros,
       p.net_micros
  from settlement_part p
 where p.tenant_id = $1
