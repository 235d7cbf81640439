-- What a Supabase project has before the first migration, as far as ours could trip over it.
grant usage on schema public to anon, authenticated, service_role;
alter default privileges for role ocd_owner in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges for role ocd_owner in schema public grant all on sequences to anon, authenticated, service_role;
alter default privileges for role ocd_owner in schema public grant all on functions to anon, authenticated, service_role;
create schema auth;
grant usage on schema auth to anon, authenticated, service_role, ocd_owner;
create function auth.jwt() returns jsonb language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claim', true), ''),
                  nullif(current_setting('request.jwt.claims', true), ''))::jsonb
$$;
create function auth.uid() returns uuid language sql stable as $$
  select (coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''),
                   nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'))::uuid
$$;
create function auth.role() returns text language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claim.role', true), ''),
                  nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role')
$$;
