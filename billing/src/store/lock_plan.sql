-- Versions of a plan are numbered one after the other. $1 plan
select pg_advisory_xact_lock(hashtextextended('plan ' || $1::text, 0))
