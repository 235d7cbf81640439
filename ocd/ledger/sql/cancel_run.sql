-- Asks a running run to stop at its next batch; ends a waiting or queued one at once.
-- Returns: one row with the state it is in now; no row when it has ended already or does not exist.
-- Leans on: run_pkey.
update ocd.run
set cancel_requested_at = clock_timestamp(),
    state = case when state = 'running' then state else 'cancelled' end,
    finished_at = case when state = 'running' then null else clock_timestamp() end
where id = :id and state in ('waiting', 'queued', 'running')
returning state
