-- Media nodes in other processes dial in with a token of their own. The name stands in the rows of the legs that were
-- placed there (leg.node), and a node may report usage of those legs only. A name outlives its token: its legs do, too.

create table node (
  name       text        not null constraint node_name_form check (name ~ '^[a-z0-9][a-z0-9-]{0,62}$' and name <> 'local'),
  token_hash text        not null constraint node_token_hash_form check (token_hash ~ '^[0-9a-f]{64}$'),
  prefix     text        not null,
  created_at timestamptz not null,
  revoked_at timestamptz,
  primary key (name),
  constraint node_token_unique unique (token_hash)
);
comment on column node.token_hash is 'SHA-256 of the token, which is shown once';

alter table node enable row level security;
alter table node force row level security;
create policy node_of_service on node
  using (tuppence_service()) with check (tuppence_service());
grant select, insert, update on node to tuppence_app;
