-- A coupon of a vendor of whoever makes it. $1 tenant or null for the operator, $2 coupon, $3 vendor, $4 code, $5 name,
-- $6 plans, $7 millionths or null, $8 and $9 micros and currency or null, $10 months or null, $11 redemptions or null,
-- $12 until when or null, $13 now
insert into coupon (
  tenant_id, coupon_id, vendor_id, code, name, plans, percent_millionths, amount_micros, currency, months, redemptions_max,
  redeem_by, created_at
)
select v.tenant_id, $2, v.vendor_id, $4, $5, $6::uuid[], $7, $8, $9::text, $10, $11, $12, $13
  from vendor v
 where v.vendor_id = $3 and v.tenant_id is not distinct from $1::uuid
   and (select count(*) from plan p where p.plan_id = any ($6::uuid[]) and p.vendor_id = v.vendor_id)
       = cardinality($6::uuid[])
