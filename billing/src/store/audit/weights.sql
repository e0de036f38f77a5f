-- How many events each tenant has, corrected ones too, and fifty more for each of its accounts. $1 tenants
select given.tenant_id,
       (select count(*) from event e where e.tenant_id = given.tenant_id)
       + 50 * (select count(*) from account a where a.tenant_id = given.tenant_id) as weight
  from unnest($1::uuid[]) with ordinality as given (tenant_id, place)
 order by given.place
