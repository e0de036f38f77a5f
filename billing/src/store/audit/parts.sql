-- Whose settlements are. $1 tenants, $2 their accounts
select p.tenant_id, p.settlement_id, p.ledger_account, p.passed_on, p.gross_micros, p.platform_per_mille,
       p.platform_micros, p.fee_micros, p.net_micros
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join settlement_part p on p.tenant_id = a.tenant_id
