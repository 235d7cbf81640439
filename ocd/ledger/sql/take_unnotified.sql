-- Takes the incidents whose opening or closing nobody was told of yet, and notes that it is told now.
-- Only young ones: whoever sets up a channel later is not told of last year.
-- Safe to run twice at once: each row is taken by one caller.
-- Returns: one row per incident with all its columns; `event` is opened or closed.
-- Leans on: incident_unnotified_idx.
with untold as (
  select id, case when notified_at is null then 'opened' else 'closed' end as event
  from ocd.incident
  where (notified_at is null or (closed_at is not null and closing_notified_at is null))
    and opened_at > clock_timestamp() - interval '7 days' and notify_attempts < :max_attempts
  order by opened_at
  limit 100
  for update skip locked
)
update ocd.incident i
set notified_at = coalesce(i.notified_at, clock_timestamp()),
    closing_notified_at = case when i.closed_at is not null then clock_timestamp() end,
    notify_attempts = i.notify_attempts + 1
from untold where i.id = untold.id
returning i.*, untold.event
