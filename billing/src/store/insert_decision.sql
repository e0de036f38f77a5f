-- $1 tenant, $2 holder, $3 subscription, $4 sequence, $5 from, $6 state, $7 plan version, $8 payer, $9 seats, $10 rooms,
-- $11 mailboxes, $12 now
insert into subscription_change
  (tenant_id, account_id, subscription_id, sequence, from_hour, state, plan_version_id, payer_id, seats, rooms, mailboxes,
   created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
