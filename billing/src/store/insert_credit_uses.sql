-- A column each: $1 tenants, $2 credits, $3 statements, $4 kinds, $5 micros, $6 currencies, $7 when
insert into credit_use (tenant_id, credit_id, statement_id, kind, amount_micros, currency, created_at)
select u.*
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::timestamptz[]) as u
