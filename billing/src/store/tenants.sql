-- For jobs, in service scope, page by page. $1 after, $2 how many
select t.tenant_id from tenant t where t.tenant_id > $1 order by t.tenant_id limit $2
