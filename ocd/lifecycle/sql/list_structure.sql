-- What holds and guards the rows of a table: constraints, indexes, row security, policies.
-- Returns: one row (kind, name, definition) per object, the definition as SQL that makes it; empty search_path.
-- NOT NULL is left out: only newer servers list it as a constraint, and COPY enforces it.
-- Leans on: pg_constraint_conrelid_contypid_conname_index, pg_index_indrelid_index, pg_policy_polrelid_polname_index.
select 'constraint' as kind, conname::text as name, pg_get_constraintdef(oid) as definition
from pg_constraint where conrelid = %(relation)s::regclass and contype <> 'n'
union all
select 'index', i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) || case when i.indisvalid then '' else ' -- invalid' end
from pg_index i
where i.indrelid = %(relation)s::regclass
  and not exists (select 1 from pg_constraint c where c.conindid = i.indexrelid and c.conrelid = i.indrelid)
union all
select 'row security', relname::text, concat_ws(', ', case when relrowsecurity then 'enabled' end, case when relforcerowsecurity then 'forced' end)
from pg_class where oid = %(relation)s::regclass
union all
select 'policy', polname::text,
       format('as %%s for %%s to %%s%%s%%s', case when polpermissive then 'permissive' else 'restrictive' end,
              case polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
              case when polroles = '{0}' then 'public'
                   else (select string_agg(quote_ident(rolname), ', ' order by rolname) from pg_roles where oid = any (polroles)) end,
              ' using (' || pg_get_expr(polqual, polrelid) || ')',
              ' with check (' || pg_get_expr(polwithcheck, polrelid) || ')')
from pg_policy where polrelid = %(relation)s::regclass
order by 1, 2
