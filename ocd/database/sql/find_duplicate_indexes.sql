-- Indexes that another one of the same table makes needless: same columns, order, condition.
-- Returns: one row (object, detail) per needless index.
-- Leans on: pg_index is small; it is read whole.
select b.indexrelid::regclass::text as object, 'the same as ' || a.indexrelid::regclass as detail
from pg_index a
join pg_index b on b.indrelid = a.indrelid and b.indexrelid <> a.indexrelid
  and b.indkey = a.indkey and b.indclass = a.indclass and b.indoption = a.indoption and b.indcollation = a.indcollation
  and pg_get_expr(b.indexprs, b.indrelid) is not distinct from pg_get_expr(a.indexprs, a.indrelid)
  and pg_get_expr(b.indpred, b.indrelid) is not distinct from pg_get_expr(a.indpred, a.indrelid)
join pg_class c on c.oid = a.indrelid join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('public', 'landing', 'ocd')
  -- Of two equal ones the plain one goes before the unique one, the younger before the older.
  and (a.indisunique, -cast(a.indexrelid as bigint)) > (b.indisunique, -cast(b.indexrelid as bigint))
order by 1
