-- Events about an account that nothing corrected, in the order of time. $1 tenant, $2 account
select e.source, e.id, e.type, e.occurred_at, e.data, e.meters_known
  from event e
 where e.tenant_id = $1 and e.account_id = $2
   and not exists (select from event c where c.tenant_id = e.tenant_id and c.source = e.source and c.corrects = e.id)
 order by e.occurred_at, e.source, e.id
