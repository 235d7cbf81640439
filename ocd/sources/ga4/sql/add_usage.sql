-- Adds to the counts of an hour.
-- Returns: nothing. Grain: one row per property and hour.
-- Leans on: ga_usage_pkey.
insert into landing.ga_usage as u
  (property, hour, requests, refused, server_errors, failed, slow, latency_ms, longest_ms, slices_read, slices_kept)
values
  (:property, date_trunc('hour', cast(:at as timestamptz)), :requests, :refused, :server_errors, :failed, :slow,
   :latency_ms, :longest_ms, :slices_read, :slices_kept)
on conflict (property, hour) do update set
  requests = u.requests + excluded.requests, refused = u.refused + excluded.refused,
  server_errors = u.server_errors + excluded.server_errors, failed = u.failed + excluded.failed,
  slow = u.slow + excluded.slow, latency_ms = u.latency_ms + excluded.latency_ms,
  longest_ms = greatest(u.longest_ms, excluded.longest_ms),
  slices_read = u.slices_read + excluded.slices_read, slices_kept = u.slices_kept + excluded.slices_kept
