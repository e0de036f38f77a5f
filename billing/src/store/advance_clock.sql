-- Time goes forward only. $1 tenant, $2 offset in hours
update tenant set clock_offset_hours = $2
 where tenant_id = $1 and sandbox and clock_offset_hours <= $2
