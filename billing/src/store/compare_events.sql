-- What became of events that were to be inserted by this transaction: are they new, and do they say the same as what is there?
-- An event that is not there corrects what another one corrects. $1 tenant, then a column each: $2 sources, $3 ids,
-- $4 accounts, $5 types, $6 when, $7 data, $8 what they correct
select e.id is not null as is_there,
       e.id is not null and e.xmin = pg_current_xact_id()::xid as is_new,
       (e.account_id, e.type, e.occurred_at, e.data, e.corrects)
         is not distinct from (g.account_id, g.type, g.occurred_at, g.data, g.corrects) as is_same
  from unnest($2::text[], $3::text[], $4::uuid[], $5::text[], $6::timestamptz[], $7::text[], $8::text[])
       with ordinality as g (source, id, account_id, type, occurred_at, data, corrects, place)
  left join event e on e.tenant_id = $1 and e.source = g.source and e.id = g.id
 order by g.place
