-- Sets facts aside that can never be recorded; the greatest quantity and the latest reason stay.
-- $1 tenant, $2 legs, $3 meters, $4 hours, $5 quantities (each counter once), $6 reason, $7 now
insert into refused_fact as f (tenant_id, leg_id, meter, hour, quantity, reason, created_at)
select $1, r.leg_id, r.meter, r.hour, r.quantity::numeric, $6, $7
  from unnest($2::uuid[], $3::text[], $4::timestamptz[], $5::text[]) as r (leg_id, meter, hour, quantity)
on conflict (tenant_id, leg_id, meter, hour) do update
   set quantity = greatest(f.quantity, excluded.quantity), reason = excluded.reason
