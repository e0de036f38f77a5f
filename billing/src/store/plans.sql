-- The operator's plans and a tenant's own, newest first; or one of them. $1 cursor or null, $2 how many, $3 plan or null
select l.plan_id, l.vendor_id, l.name, l.add_on, l.created_at,
       (select v.plan_version_id from plan_version v where v.plan_id = l.plan_id order by v.version desc limit 1) as latest
  from plan l
 where ($1::uuid is null or l.plan_id < $1) and ($3::uuid is null or l.plan_id = $3)
 order by l.plan_id desc
 limit $2
