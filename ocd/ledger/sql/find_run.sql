-- Finds the real run of an identity.
-- Returns: one row (id, state) or none; the row is locked.
-- Leans on: run_identity.
select id, state from ocd.run
where kind = 'real' and job = :job and window_start = :window_start and window_end = :window_end
  and subject = cast(:subject as jsonb)
for update
