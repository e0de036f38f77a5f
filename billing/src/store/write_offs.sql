-- A tenant's write-offs, newest first, or one of them. $1 tenant, $2 write-off or null, $3 cursor or null, $4 how many
select w.write_off_id, w.account_id, w.currency, w.amount_micros, w.reason, w.state, w.proposed_by, w.decided_by,
       w.proposed_at, w.decided_at
  from write_off w
 where w.tenant_id = $1 and ($2::uuid is null or w.write_off_id = $2) and ($3::uuid is null or w.write_off_id < $3)
 order by w.write_off_id desc
 limit $4
