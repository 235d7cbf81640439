-- What our own jobs noted as slow.
-- Returns: one row (statement, calls, total_ms, max_ms) per statement without values.
-- Leans on: log_line_slow_idx.
select fields ->> 'statement' as statement, count(*) as calls,
       sum(cast(fields ->> 'ms' as double precision)) as total_ms,
       max(cast(fields ->> 'ms' as double precision)) as max_ms
from ocd.log_line
where event = 'slow_statement' and at >= :since and cast(fields ->> 'ms' as double precision) >= :slower_than_ms
group by 1
