-- Locks the runs that wait for `id`, so that two steps that end at the same time look one after the other.
-- Returns: one row (id) per waiting successor.
-- Leans on: run_dependency_depends_on_idx, run_pkey.
select r.id from ocd.run r
where r.state = 'waiting' and r.id in (select d.run_id from ocd.run_dependency d where d.depends_on_id = :id)
order by r.id
for update
