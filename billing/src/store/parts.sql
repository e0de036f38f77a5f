-- Whose a settlement is. $1 tenant, $2 settlement
select p.ledger_account, p.passed_on, p.gross_micros, p.platform_micros, p.fee_micros, p.net_micros, p.currency
  from settlement_part p
 where p.tenant_id = $1 and p.settlement_id = $2
 order by p.ledger_account collate "C"
