-- Adds log lines of an attempt, all in one statement, in the order of the array.
-- Returns: nothing.
-- Leans on: nothing; log_line_pkey and log_line_run_id_idx grow at their ends.
insert into ocd.log_line (run_id, fence, at, level, event, fields)
select :run_id, :fence, line.at, line.level, line.event, line.fields
from jsonb_to_recordset(cast(:lines as jsonb)) as line (at timestamptz, level text, event text, fields jsonb)
