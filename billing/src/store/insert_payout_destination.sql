-- Where a vendor of the tenant's own is paid from now on. $1 tenant, $2 vendor, $3 processor, $4 token, $5 label, $6 now
insert into payout_destination (tenant_id, vendor_id, sequence, processor, token, label, created_at)
select v.tenant_id, v.vendor_id,
       coalesce((select max(d.sequence) from payout_destination d
                  where d.tenant_id = v.tenant_id and d.vendor_id = v.vendor_id), 0) + 1,
       $3, $4, $5, $6
  from vendor v
 where v.tenant_id = $1 and v.vendor_id = $2
