-- Events about accounts that nothing corrected, in the order of time. $1 tenants, $2 their accounts
select e.tenant_id, e.source, e.id, e.type, e.occurred_at, e.data, e.meters_known
  from unnest($1::uuid[], $2::uuid[]) as a (tenant_id, account_id)
  join event e on e.tenant_id = a.tenant_id and e.account_id = a.account_id
 where not exists (select from event c where c.tenant_id = e.tenant_id and c.source = e.source and c.corrects = e.id)
 order by e.tenant_id, e.occurred_at, e.source, e.id
