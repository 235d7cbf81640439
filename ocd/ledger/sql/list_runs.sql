-- Lists runs, newest first, for people and machines.
-- Returns: one row per run, at most :limit; `artifacts` are names, `blocked_by` the steps before it,
-- however far, that ended badly.
-- Leans on: run_created_at_idx, run_pkey, artifact_run_id_idx, run_dependency_pkey, run_backfill_idx.
select r.id, r.job, r.kind, r.window_label as window, r.window_start, r.window_end, r.subject, r.params, r.flow,
       r.trigger, r.requested_by, r.generation, r.state, r.attempt, r.worker, r.rows, r.evidence,
       r.progress_done, r.progress_total, r.progress_note, r.error_class, r.error_message, r.not_before,
       r.deadline_at, r.late_at, r.backfill_id, r.lease_until, r.lease_renewed_at, r.created_at, r.queued_at, r.started_at, r.finished_at,
       r.cancel_requested_at is not null and r.state = 'running' as is_cancelling,
       round(extract(epoch from coalesce(r.finished_at, clock_timestamp()) - r.started_at)::numeric, 3)::float8 as took_s,
       coalesce((select array_agg(a.name order by a.name) from ocd.artifact a
                 where a.run_id = r.id and a.removed_at is null), '{}') as artifacts,
       case when r.state = 'waiting' then coalesce((
         with recursive earlier (id) as (
           select d.depends_on_id from ocd.run_dependency d where d.run_id = r.id
           union
           select d.depends_on_id from earlier e join ocd.run_dependency d on d.run_id = e.id
         )
         select array_agg(b.id order by b.id) from earlier e join ocd.run b on b.id = e.id
         where b.state in ('failed', 'refused', 'cancelled', 'dead')), '{}')
       else '{}' end as blocked_by
from ocd.run r
where (cast(:ids as bigint[]) is null or r.id = any(cast(:ids as bigint[])))
  and (cast(:job as text) is null or r.job = :job)
  and (cast(:state as text) is null or r.state = :state)
  and (cast(:backfill as bigint) is null or r.backfill_id = cast(:backfill as bigint))
  and (cast(:since as timestamptz) is null or r.created_at >= :since or r.finished_at >= :since)
order by r.created_at desc, r.id desc
limit :limit
