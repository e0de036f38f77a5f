-- Everything about accounts' money that a decision depends on. $1 tenants, $2 their accounts, $3 now
select a.tenant_id, a.account_id, a.currency, c.at, t.sandbox,
       coalesce(b.owed, 0)::bigint as owed, coalesce(b.wallet, 0)::bigint as wallet,
       s.at_least_micros, s.top_up_micros, s.top_up_ceiling_micros,
       m.payment_method_id, m.rail, m.token, m.processor,
       exists (select from payment p
                where p.tenant_id = a.tenant_id and p.account_id = a.account_id and p.state = 'attempted') as under_way,
       f.failures, f.failing_since, f.last_failure, r.refilled, f_all.totals, f_all.finals, n.closing
  from unnest($1::uuid[], $2::uuid[]) as given (tenant_id, account_id)
  join account a on a.tenant_id = given.tenant_id and a.account_id = given.account_id
  join tenant t on t.tenant_id = a.tenant_id
 cross join lateral (select $3::timestamptz + make_interval(hours => t.clock_offset_hours) as at) c
  left join lateral (
    select sum(e.amount_micros) filter (where e.ledger_account like 'receivable:%') as owed,
           -sum(e.amount_micros) filter (where e.ledger_account like 'wallet:%') as wallet
      from ledger_entry e
     where e.tenant_id = a.tenant_id and e.currency = a.currency
       and e.ledger_account in ('receivable:' || a.account_id, 'wallet:' || a.account_id)
  ) b on true
  left join lateral (
    select * from payment_setting s
     where s.tenant_id = a.tenant_id and s.account_id = a.account_id
     order by s.sequence desc
     limit 1
  ) s on true
  left join payment_method m on m.tenant_id = a.tenant_id and m.payment_method_id = s.payment_method_id
  -- What failed by this way to pay since it last worked. What the payer put into the wallet by hand is no reason to dun.
  left join lateral (
    select count(*) as failures, min(p.attempted_at) as failing_since,
           (array_agg(p.failure order by p.number desc))[1] as last_failure
      from payment p
     where p.tenant_id = a.tenant_id and p.account_id = a.account_id and p.state = 'failed'
       and p.payment_method_id = m.payment_method_id and p.purpose <> 'top_up'
       and not exists (select from payment later
                        where later.tenant_id = p.tenant_id and later.account_id = p.account_id
                          and later.payment_method_id = p.payment_method_id and later.state = 'succeeded'
                          and later.number > p.number)
  ) f on true
  left join lateral (
    select coalesce(sum(p.amount_micros), 0)::bigint as refilled
      from payment p
     where p.tenant_id = a.tenant_id and p.account_id = a.account_id and p.purpose = 'refill' and p.state <> 'failed'
       and p.attempted_at >= date_trunc('month', c.at at time zone 'UTC') at time zone 'UTC'
  ) r on true
  left join lateral (
    select array_agg(s.total_micros - s.credits_micros order by s.period_start) as totals,
           array_agg(s.finalized_at order by s.period_start) as finals, max(s.period_end) as final_until
      from statement s
     where s.tenant_id = a.tenant_id and s.account_id = a.account_id
  ) f_all on true
  -- Nothing goes on that the account holds or pays, and the month in which the last of it ended is final.
  left join lateral (
    select not exists (
      select from subscription s
       where s.tenant_id = a.tenant_id
         and (s.account_id = a.account_id
              or exists (select from subscription_change c
                          where c.tenant_id = s.tenant_id and c.subscription_id = s.subscription_id
                            and c.payer_id = a.account_id))
         and coalesce(
               (select d.state <> 'ended' or d.from_hour > f_all.final_until
                  from subscription_change d
                 where d.tenant_id = s.tenant_id and d.subscription_id = s.subscription_id
                 order by d.sequence desc
                 limit 1),
               s.ends_at is null or s.ends_at > f_all.final_until,
               true)
    ) as closing
  ) n on true
 order by a.tenant_id, a.account_id
