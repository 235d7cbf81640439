"""A durable throw-away server with a full table, and copies of its database, one for each round."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from ocd.core import migrate
from ocd.core.cluster import Cluster, Identity, database_url

#: Unlike a scratch server this one keeps what it commits: the waiting for the disk is what is measured.
_CONF = "shared_buffers = 1GB\nmax_wal_size = 8GB\ncheckpoint_timeout = 1h\nautovacuum = off\n"
#: 120 days of questions of about 510 bytes; of those past 60 days one in twenty is slow and stays.
_FILL = """
    insert into agent_queries (query, result, conversation_id, agent, latency_ms, created_at, updated_at)
    select 'Which part fits number ' || g,
           jsonb_build_object('answer', repeat(md5(g::text), 9), 'sources', array['catalog', 'manual'], 'n', g),
           'c' || g / 5, (array['data', 'engineer', 'support', 'ops'])[1 + g %% 4],
           case when g %% 20 = 0 then 900 else 40 + g %% 160 end, at, at
    from (select g, timestamptz '2026-11-23' - interval '60 days' * (1 - g::numeric / %s) as at
          from generate_series(1, %s) g) row
"""
_numbers = itertools.count()


@dataclass(frozen=True)
class Server:
    """A server whose template database holds so many questions, half of them past retention."""

    superuser_url: str
    folder: Path
    template: str
    rows: int

    @contextmanager
    def copy(self) -> Iterator[str]:
        """Yield the superuser's URL of a fresh copy, right after a checkpoint."""
        name = f"round_{next(_numbers)}"
        with psycopg.connect(self.superuser_url, autocommit=True) as conn:
            conn.execute(
                sql.SQL("create database {} template {} strategy file_copy").format(
                    sql.Identifier(name), sql.Identifier(self.template)
                )
            )
            conn.execute("checkpoint")
        try:
            yield self.superuser_url.replace("/postgres?", f"/{name}?")
        finally:
            with psycopg.connect(self.superuser_url, autocommit=True) as conn:
                conn.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@contextmanager
def filled_server(rows: int) -> Iterator[Server]:
    """Start a server and fill its template; stop and remove everything afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="ocd-benchmark-"))
    folder.chmod(0o711)
    base = folder / "postgres"
    base.mkdir()
    identity = Identity.unprivileged()
    identity.own(base)
    cluster = Cluster(base, identity, _CONF)
    password = secrets.token_urlsafe(24)
    try:
        cluster.initialise(password, durable=True)
        cluster.start()
        socket = cluster.socket_folder()
        assert socket is not None, "pg_ctl said that the server is ready"
        url = database_url("postgres", password, "postgres", socket)
        yield Server(url, folder, _template(url, rows), rows)
    finally:
        cluster.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


def as_worker(url: str) -> str:
    """Return the URL with the worker's login."""
    return url.replace("//postgres:", "//ocd_worker:")


def _template(url: str, rows: int) -> str:
    name = f"template_{rows}_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    template_url = url.replace("/postgres?", f"/{name}?")
    migrate.upgrade(template_url)
    with psycopg.connect(template_url, autocommit=True) as conn:
        conn.execute(_FILL, (rows, rows))
        conn.execute("vacuum (analyze, freeze) agent_queries")
        # A purge runs as the worker, who bypasses row security and may not vacuum.
        conn.execute(
            sql.SQL("alter role ocd_worker login bypassrls password {}").format(
                sql.Literal(make_url(url).password)
            )
        )
    return name
