-- Events that are not there yet. $1 tenant, $2 number of the last meter, $3 now, then a column each, in the order of source
-- and id: $4 sources, $5 ids, $6 accounts, $7 types, $8 when, $9 data, $10 what they correct; $11 the key that reports them
insert into event
  (tenant_id, source, id, account_id, type, occurred_at, data, corrects, meters_known, received_at, key_id)
select $1::uuid, e.source, e.id, e.account_id, e.type, e.occurred_at, e.data, e.corrects, $2::integer, $3::timestamptz, $11::uuid
  from unnest($4::text[], $5::text[], $6::uuid[], $7::text[], $8::timestamptz[], $9::text[], $10::text[])
       as e (source, id, account_id, type, occurred_at, data, corrects)
on conflict do nothing
