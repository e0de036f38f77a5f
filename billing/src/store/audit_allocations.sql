-- What settlements were laid against. $1 tenant
select a.settlement_id, a.statement_id, a.amount_micros from allocation a where a.tenant_id = $1
