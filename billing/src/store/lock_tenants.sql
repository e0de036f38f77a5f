-- One closes each of them, alone; always in the same order. $1 tenants, sorted
select pg_advisory_xact_lock(hashtextextended(t.tenant_id, 0)) from unnest($1::text[]) as t (tenant_id)
