-- How many events each tenant has, corrected ones too. $1 tenants
select given.tenant_id, (select count(*) from event e where e.tenant_id = given.tenant_id) as events
  from unnest($1::uuid[]) with ordinality as given (tenant_id, place)
 order by given.place
