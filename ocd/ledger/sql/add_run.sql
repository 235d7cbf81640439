-- Inserts a run unless its (job, window, subject) exists; dry runs are always new.
-- Returns: one row with the new id; no row when the run exists.
-- Leans on: run_identity.
insert into ocd.run
  (job, kind, window_start, window_end, window_label, subject, params, flow, queue, trigger, requested_by,
   state, deadline_at, backfill_id, backfill_position, queued_at, publish_at)
values
  (:job, :kind, :window_start, :window_end, :window_label, cast(:subject as jsonb), cast(:params as jsonb), :flow,
   :queue, :trigger, :requested_by, :state, :deadline_at, :backfill_id, :backfill_position,
   case when :state = 'queued' then clock_timestamp() end, case when :state = 'queued' then clock_timestamp() end)
on conflict (job, window_start, window_end, subject) where kind = 'real' do nothing
returning id
