-- The end of a file of the server.
-- Returns: one row (content) with at most so many bytes.
-- Leans on: nothing.
select pg_read_binary_file(:path, greatest(0, f.size - :bytes), :bytes) as content
from pg_stat_file(:path) f
