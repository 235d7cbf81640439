#!/bin/bash
# Run once by the postgres image on an empty data folder: the four logins, their passwords from secret files.
# psql reads the files itself, so that no password stands on a command line.
set -euo pipefail

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
set log_statement = 'none';
set log_min_error_statement = 'panic';
\set owner_password `cat /run/secrets/owner_password`
\set worker_password `cat /run/secrets/worker_password`
\set api_password `cat /run/secrets/api_password`
\set reader_password `cat /run/secrets/reader_password`
-- The owner migrates: it makes roles, schemas and tables. BYPASSRLS lets it give that on.
create role ocd_owner login createrole bypassrls password :'owner_password';
-- The worker reads and writes rows of every tenant, and owns nothing.
create role ocd_worker login bypassrls password :'worker_password';
-- The API has no rights of its own: it switches to the role of whoever asks.
create role ocd_api login noinherit password :'api_password';
-- The reader sees the ledger and the metrics.
create role ocd_reader login password :'reader_password';
select format('alter database %I owner to ocd_owner', current_database()) \gexec
select format('revoke connect, temporary on database %I from public', current_database()) \gexec
select format('grant connect on database %I to ocd_worker, ocd_api, ocd_reader', current_database()) \gexec
SQL
