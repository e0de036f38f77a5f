-- One finalises, alone. $1 tenant
select pg_advisory_xact_lock(hashtextextended($1::text, 0))
