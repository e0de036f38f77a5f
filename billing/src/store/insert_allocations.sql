-- $1 tenant, $2 settlement, then a column each: $3 statements, $4 micros; $5 now
insert into allocation (tenant_id, settlement_id, statement_id, amount_micros, created_at)
select $1, $2, a.statement_id, a.micros, $5
  from unnest($3::uuid[], $4::bigint[]) as a (statement_id, micros)
