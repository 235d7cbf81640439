-- Whether this login may ask for the server's log and read its files.
-- Returns: one row (is_allowed).
-- Leans on: nothing.
select has_function_privilege('pg_current_logfile(text)', 'execute')
   and has_function_privilege('pg_stat_file(text)', 'execute')
   and has_function_privilege('pg_read_binary_file(text, bigint, bigint)', 'execute') as is_allowed
