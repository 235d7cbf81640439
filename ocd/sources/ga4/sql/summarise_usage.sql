-- Adds up the counts since an instant.
-- Returns: one row, every count 0 where there was nothing.
-- Leans on: ga_usage_pkey.
select coalesce(sum(requests), 0) as requests, coalesce(sum(failed), 0) as failed, coalesce(sum(refused), 0) as refused,
       coalesce(sum(server_errors), 0) as server_errors, coalesce(sum(slow), 0) as slow,
       coalesce(sum(latency_ms), 0)::float as latency_ms, coalesce(max(longest_ms), 0) as longest_ms,
       coalesce(sum(slices_read), 0) as slices_read, coalesce(sum(slices_kept), 0) as slices_kept
from landing.ga_usage where property = :property and hour >= :since
