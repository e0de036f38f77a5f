-- Takes back what meters read of events that were corrected. $1 tenant, then a column each: $2 accounts, $3 meters, $4 hours,
-- $5 events
delete from reading r
 using unnest($2::uuid[], $3::text[], $4::timestamptz[], $5::text[]) as g (account_id, meter, hour, event)
 where r.tenant_id = $1 and r.account_id = g.account_id and r.meter = g.meter and r.hour = g.hour and r.event = g.event
