-- Readies the waiting runs whose every step before them is done, after `id` was.
-- Returns: one row (id, queue, job) per run that became ready.
-- Leans on: run_dependency_depends_on_idx, run_dependency_pkey, run_pkey.
update ocd.run r
set state = 'queued', queued_at = clock_timestamp()
from ocd.run_dependency d
where d.depends_on_id = :id and d.run_id = r.id and r.state = 'waiting'
  and not exists (
    select 1 from ocd.run_dependency o join ocd.run b on b.id = o.depends_on_id
    where o.run_id = r.id and b.state <> 'done')
returning r.id
