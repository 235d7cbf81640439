-- Renews the lease of a run and notes its progress, if the caller still holds the fence.
-- Returns: one row with whether a cancel was asked for; no row when the lease was lost.
-- Leans on: run_pkey.
update ocd.run
set lease_until = clock_timestamp() + make_interval(secs => :lease_s), lease_renewed_at = clock_timestamp(),
    progress_done = coalesce(cast(:done as bigint), progress_done),
    progress_total = coalesce(cast(:total as bigint), progress_total),
    progress_note = coalesce(cast(:note as text), progress_note),
    checkpoint = coalesce(cast(:checkpoint as jsonb), checkpoint)
where id = :id and fence = :fence and state = 'running'
returning cancel_requested_at is not null as is_cancel_requested
