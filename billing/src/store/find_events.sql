-- Some events of a tenant. $1 tenant, $2 sources, $3 ids
select e.source, e.id, e.account_id, e.type, e.occurred_at, e.data, e.corrects, e.meters_known, e.key_id
  from unnest($2::text[], $3::text[]) as g (source, id)
  join event e on e.tenant_id = $1 and e.source = g.source and e.id = g.id
