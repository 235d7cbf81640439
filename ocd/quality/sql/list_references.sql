-- References that were validated for every row.
-- Returns: one row per foreign key (table, columns, parent, to), columns in pairs.
-- Leans on: pg_constraint.
select format('%s.%s', cn.nspname, c.relname) as "table",
       array_agg(ca.attname::text order by ca.attname) as columns,
       format('%s.%s', pn.nspname, p.relname) as parent,
       array_agg(pa.attname::text order by ca.attname) as "to"
from pg_constraint k
join pg_class c on c.oid = k.conrelid
join pg_namespace cn on cn.oid = c.relnamespace
join pg_class p on p.oid = k.confrelid
join pg_namespace pn on pn.oid = p.relnamespace
cross join unnest(k.conkey, k.confkey) pair (child, parent)
join pg_attribute ca on ca.attrelid = k.conrelid and ca.attnum = pair.child
join pg_attribute pa on pa.attrelid = k.confrelid and pa.attnum = pair.parent
where k.contype = 'f' and k.convalidated and coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
group by k.oid, cn.nspname, c.relname, pn.nspname, p.relname
