-- An account's final statements as payments see them, oldest first. $1 tenant, $2 account
select s.statement_id, s.finalized_at, s.total_micros as billed_micros, s.total_micros - s.credits_micros as total_micros,
       s.currency,
       (select coalesce(sum(n.total_micros), 0)::bigint from credit_note n
         where n.tenant_id = s.tenant_id and n.statement_id = s.statement_id) as taken_back_micros,
       coalesce(sum(l.amount_micros) filter (where t.kind <> 'write_off'), 0)::bigint as paid_micros,
       coalesce(sum(l.amount_micros) filter (where t.kind = 'write_off'), 0)::bigint as written_off_micros,
       exists (select from payment p
                where p.tenant_id = s.tenant_id and p.account_id = s.account_id and p.purpose = 'collection'
                  and p.attempted_at >= s.finalized_at) as asked
  from statement s
  left join allocation l on l.tenant_id = s.tenant_id and l.statement_id = s.statement_id
  left join settlement t on t.tenant_id = l.tenant_id and t.settlement_id = l.settlement_id
 where s.tenant_id = $1 and s.account_id = $2
 group by s.tenant_id, s.account_id, s.statement_id
 order by s.period_start
