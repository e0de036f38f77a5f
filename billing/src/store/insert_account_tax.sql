-- From now on, or from the end of the last final month where the clock has been set back. $1 tenant, $2 account,
-- $3 now there, $4 country, $5 VAT number, $6 exemption, $7 now
insert into account_tax (tenant_id, account_id, sequence, valid_from, country, vat_id, exemption, created_at)
select $1, $2,
       coalesce((select max(t.sequence) from account_tax t where t.tenant_id = $1 and t.account_id = $2), 0) + 1,
       greatest($3, (select max(s.period_end) from statement s where s.tenant_id = $1 and s.account_id = $2)),
       $4, $5, $6, $7
returning valid_from
