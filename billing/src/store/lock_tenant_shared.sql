-- Facts come in side by side; finalising waits for them, and they for it. $1 tenant
select pg_advisory_xact_lock_shared(hashtextextended($1::text, 0))
