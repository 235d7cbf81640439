-- Ends a queued run that nobody can carry out, once it has waited :grace_s for somebody who can.
-- Returns: one row (id); no row while it is too early, or when it is no longer queued.
-- Leans on: run_pkey.
update ocd.run
set state = 'refused', finished_at = clock_timestamp(), publish_at = null,
    error_class = :error_class, error_message = :error_message
where id = :id and state = 'queued' and queued_at <= clock_timestamp() - make_interval(secs => :grace_s)
returning id
