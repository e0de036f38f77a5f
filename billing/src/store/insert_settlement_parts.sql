-- $1 tenant, $2 settlement, then a column each: $3 ledger accounts, $4 whether it is passed on, $5 gross,
-- $6 the platform's, $7 fee, $8 net; $9 the platform's share in thousandths, $10 currency, $11 now
insert into settlement_part
  (tenant_id, settlement_id, ledger_account, passed_on, gross_micros, platform_per_mille, platform_micros, fee_micros,
   net_micros, currency, created_at)
select $1, $2, p.account, p.passed_on, p.gross, case when p.passed_on then $9::integer else 0 end, p.platform, p.fee, p.net,
       $10::text, $11
  from unnest($3::text[], $4::boolean[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
       as p (account, passed_on, gross, platform, fee, net)
