"""Guard the stack: one PostgreSQL, one driver, whatever somebody sets up beside them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

from sqlalchemy import make_url

from ocd.core.settings import Settings
from ocd.database.findings import Scene, Stack

#: Python packages that talk to another database server, or to ours past our engine.
SECOND_DRIVERS = frozenset(
    {
        "aiomysql",
        "asyncpg",
        "cassandra-driver",
        "clickhouse-connect",
        "clickhouse-driver",
        "motor",
        "mysql-connector-python",
        "mysqlclient",
        "oracledb",
        "pg8000",
        "psycopg2",
        "psycopg2-binary",
        "pymongo",
        "pymssql",
        "pymysql",
        "pyodbc",
        "snowflake-connector-python",
    }
)


def stack_of(settings: Settings) -> Stack:
    """Return which databases the settings name, without users and passwords, and what is installed."""
    urls = {
        "OCD_DATABASE_URL": settings.database_url,
        "OCD_OWNER_DATABASE_URL": settings.owner_database_url,
        "OCD_READER_DATABASE_URL": settings.reader_database_url,
    }
    named = {name: _place(url) for name, url in urls.items() if url}
    installed = (one.metadata["Name"] for one in metadata.distributions())
    return Stack(named, frozenset(name.lower().replace("_", "-") for name in installed if name))


def second(scene: Scene) -> Iterator[tuple[str, str]]:
    """Yield settings that name another database than the worker's, and drivers beside psycopg."""
    databases = scene.stack.databases
    first = databases.get("OCD_DATABASE_URL")
    for name, place in sorted(databases.items()):
        if place != first:
            yield name, "names another database than OCD_DATABASE_URL"
    for package in sorted(scene.stack.packages & SECOND_DRIVERS):
        yield package, "a second database driver is installed; psycopg is the one"


def _place(url: str) -> str:
    """Return which database a URL means; poolers of one project differ in host and port only."""
    parsed = make_url(url)
    host = parsed.host or parsed.query.get("host", "")
    is_supabase = isinstance(host, str) and host.endswith((".supabase.co", ".supabase.com"))
    return f"{'supabase' if is_supabase else f'{host}:{parsed.port or 5432}'}/{parsed.database}"
