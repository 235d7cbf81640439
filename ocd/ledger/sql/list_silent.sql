-- Tells which housekeepers were heard once and have been silent for longer than they may.
-- Returns: one row (name, beat_at, silent_s, is_silent) per housekeeper.
-- Leans on: heartbeat_pkey.
select name, beat_at, extract(epoch from clock_timestamp() - beat_at)::float8 as silent_s,
       clock_timestamp() - beat_at > make_interval(secs => :silent_s) as is_silent
from ocd.heartbeat where name in ('beat', 'canary')
