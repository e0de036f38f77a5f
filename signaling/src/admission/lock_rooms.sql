-- One join at a time counts the rooms of a tenant: two that count at once would both take the last one. Until the commit.
select pg_advisory_xact_lock(hashtextextended('rooms in use ' || tuppence_tenant()::text, 0))
