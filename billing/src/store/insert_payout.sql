-- $1 tenant, $2 vendor, $3 payout, $4 destination, $5 currency, $6 carried in, $7 micros, $8 carried out, $9 now
insert into payout
  (tenant_id, vendor_id, payout_id, destination, currency, carried_in_micros, amount_micros, carried_out_micros, attempted_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
