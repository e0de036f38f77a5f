-- The next version of one of the tenant's own plans. $1 tenant, $2 version's id, $3 plan, $4 currency, $5 trial days,
-- $6 features, $7 now, $8 tax class, $9 whether prices include tax
insert into plan_version
  (tenant_id, plan_version_id, plan_id, version, currency, trial_days, features, created_at, tax_class, prices_include_tax)
select l.tenant_id, $2, l.plan_id,
       coalesce((select max(v.version) from plan_version v where v.plan_id = l.plan_id), 0) + 1,
       $4, $5, $6::text::jsonb, $7, $8, $9
  from plan l
 where l.tenant_id = $1 and l.plan_id = $3
returning version
