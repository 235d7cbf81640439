-- Lists runs, newest first, for people and machines.
-- Returns: one row per run, at most :limit; `artifacts` are names, `blocked_by` the unfinished steps before it.
-- Leans on: run_created_at_idx, run_pkey, artifact_run_id_idx, run_dependency_pkey.
select r.id, r.job, r.kind, r.window_label as window, r.window_start, r.window_end, r.subject, r.params, r.flow,
       r.trigger, r.requested_by, r.generation, r.state, r.attempt, r.worker, r.rows, r.evidence,
       r.progress_done, r.progress_total, r.progress_note, r.error_class, r.error_message, r.not_before,
       r.deadline_at, r.created_at, r.queued_at, r.started_at, r.finished_at,
       r.cancel_requested_at is not null and r.state = 'running' as is_cancelling,
       round(extract(epoch from coalesce(r.finished_at, clock_timestamp()) - r.started_at)::numeric, 3)::float8 as took_s,
       coalesce((select array_agg(a.name order by a.name) from ocd.artifact a
                 where a.run_id = r.id and a.removed_at is null), '{}') as artifacts,
       case when r.state = 'waiting' then
         coalesce((select array_agg(b.id order by b.id) from ocd.run_dependency d join ocd.run b on b.id = d.depends_on_id
                   where d.run_id = r.id and b.state in ('failed', 'refused', 'cancelled', 'dead')), '{}')
       else '{}' end as blocked_by
from ocd.run r
where (cast(:ids as bigint[]) is null or r.id = any(cast(:ids as bigint[])))
  and (cast(:job as text) is null or r.job = :job)
  and (cast(:state as text) is null or r.state = :state)
  and (cast(:since as timestamptz) is null or r.created_at >= :since or r.finished_at >= :since)
order by r.created_at desc, r.id desc
limit :limit
