-- What meters read. $1 tenant, then a column each: $2 accounts, $3 meters, $4 hours, $5 when, $6 dimensions as JSON lists,
-- $7 quantities, $8 items, $9 events; $10 the key that reported them
insert into reading (tenant_id, account_id, meter, hour, at, dimensions, quantity, item, event, key_id)
select $1::uuid, r.account_id, r.meter, r.hour, r.at,
       case r.dimensions when '[]' then '{}'
            else (select array_agg(d.value order by d.place)
                    from jsonb_array_elements_text(r.dimensions::jsonb) with ordinality as d (value, place)) end,
       r.quantity, r.item, r.event, $10::uuid
  from unnest($2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::bigint[], $8::uuid[], $9::text[])
       as r (account_id, meter, hour, at, dimensions, quantity, item, event)
