"""Real servers for the tests: one embedded PostgreSQL, a fresh database for every test that asks."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Connection, Engine, NullPool, create_engine, make_url

from ocd.core import migrate
from ocd.core.cluster import scratch_postgres
from ocd.core.db import sqlalchemy_url
from ocd.core.embedded import Redis
from ocd.core.signing import SigningKeys
from ocd.core.store import FolderStore
from ocd.ledger import claims, enqueue
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Run
from ocd.ledger.windows import Daily
from ocd.quality.check import QualityReport, check
from ocd.quality.files import load
from ocd.quality.rule import Rule
from tasks import runtime
from tests.factories.clock import NOW
from tests.shell import Shell, fresh_home, sweep_homes

_numbers = itertools.count()


#: What the whole suite keeps at once in temporary folders is less than half of it.
ROOM_BYTES = 4 << 30


def pytest_configure() -> None:
    """Take every configured server out of the environment: tests start their own."""
    _keep_in_memory()
    for name in [name for name in os.environ if name.startswith("OCD_")]:
        del os.environ[name]
    # Whatever asks for the settings of this process gets a home of its own, never the clone's.
    runtime.use({"OCD_HOME": str(Path(tempfile.mkdtemp(prefix="ocd-tests-")) / ".ocd")})
    if "PYTEST_XDIST_WORKER" not in os.environ:
        sweep_homes()


def pytest_unconfigure() -> None:
    """Remove the home of this process."""
    home = Path(runtime.environment()["OCD_HOME"])
    runtime.release()
    shutil.rmtree(home.parent, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the rooms whose files take longest, so that no core waits for the last one."""
    items.sort(key=lambda item: item.path.parent.name not in {"crash", "tasks"})


def _keep_in_memory() -> None:
    """Put temporary folders into memory where there is room: a database a test is thousands of files."""
    memory = Path("/dev/shm")
    if "TMPDIR" in os.environ or not os.access(memory, os.W_OK):
        return
    may_run = not os.statvfs(memory).f_flag & os.ST_NOEXEC  # PostgreSQL may be copied there
    free = min(shutil.disk_usage(memory).free, psutil.virtual_memory().available)
    if may_run and free >= ROOM_BYTES:
        os.environ["TMPDIR"] = tempfile.tempdir = str(memory)


@dataclass(frozen=True)
class Database:
    """A migrated database of its own: worker engine, worker and owner URL, superuser URL."""

    engine: Engine
    url: str
    owner_url: str
    superuser_url: str


def at(
    url: str, *, user: str | None = None, password: str | None = None, database: str | None = None
) -> str:
    """Return the URL with parts exchanged."""
    changed = make_url(url).set(drivername="postgresql")
    changed = changed.set(username=user or changed.username, password=password or changed.password)
    return changed.set(database=database or changed.database).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Superuser URL of a PostgreSQL for this session, with the logins of ours."""
    with scratch_postgres() as url:
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(
                "create role ocd_owner login password 'owner' createrole createdb bypassrls"
            )
            conn.execute("create role ocd_worker login password 'worker' bypassrls")
            conn.execute("create role ocd_api login password 'api' noinherit")
            conn.execute("create role ocd_reader login password 'reader'")
        yield url


@pytest.fixture(scope="session")
def template(server: str) -> str:
    """Name of a migrated database that tests clone."""
    name = "template_ocd"
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute(f"create database {name} owner ocd_owner")
    migrate.upgrade(at(server, user="ocd_owner", password="owner", database=name))
    return name


@pytest.fixture
def empty_database(server: str) -> Iterator[Database]:
    """A database without any migration."""
    yield from _database(server, None)


@pytest.fixture
def supabase_database(server: str, template: str) -> Iterator[Database]:
    """An empty database with what Supabase has; see `like_supabase`."""
    yield from like_supabase(server, template)


def like_supabase(server: str, template: str) -> Iterator[Database]:
    """Make an empty database with Supabase's auth schema and its default privileges.

    There a new table belongs to everybody until somebody says otherwise; here too, then. Takes
    `template`, so that the roles exist.
    """
    for made in _database(server, None):
        with psycopg.connect(made.superuser_url, autocommit=True) as conn:
            conn.execute((Path(__file__).parent / "supabase.sql").read_text(encoding="utf-8"))
        yield made


@pytest.fixture
def db(server: str, template: str) -> Iterator[Database]:
    """A migrated database of this test's own."""
    yield from _database(server, template)


def _database(server: str, template: str | None) -> Iterator[Database]:
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as conn:
        clone = sql.SQL("template {}").format(sql.Identifier(template)) if template else sql.SQL("")
        conn.execute(
            sql.SQL("create database {} owner ocd_owner {} strategy file_copy").format(
                sql.Identifier(name), clone
            )
        )
    url = at(server, user="ocd_worker", password="worker", database=name)
    engine = create_engine(
        sqlalchemy_url(url), poolclass=NullPool, connect_args={"options": "-c timezone=UTC"}
    )
    yield Database(
        engine,
        url,
        at(server, user="ocd_owner", password="owner", database=name),
        at(server, database=name),
    )
    engine.dispose()
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def conn(db: Database) -> Iterator[Connection]:
    """A connection of the worker login."""
    with db.engine.connect() as connection:
        yield connection


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """An artifact store of this test's own."""
    return FolderStore(tmp_path / "artifacts")


KEYS = SigningKeys(("the-key-of-the-tests-0123456789abcdef",))


@pytest.fixture
def keys() -> SigningKeys:
    """The keys that sign the manifests of a test."""
    return KEYS


@pytest.fixture
def keeper_for(store: FolderStore) -> Callable[[Run], Keeper]:
    """Make the keeper of a run's artifacts."""
    return lambda run: Keeper(store, run.id, NOW, timedelta(days=90))


@pytest.fixture
def start_run(db: Database) -> Callable[..., Run]:
    """Order and claim a run: start_run(job, window="2026-11-23", subject={}, params={}) -> Run."""

    def start(
        job: str = "test.job",
        window: str = "2026-11-23",
        *,
        subject: dict[str, Any] | None = None,
        params: dict[str, Any] | None = None,
        is_dry: bool = False,
        lease_s: float = 30,
    ) -> Run:
        order = enqueue.Order(
            job,
            Daily().parse(window),
            "short",
            params=params or {},
            subject=subject or {},
            is_dry=is_dry,
        )
        with db.engine.begin() as conn:
            placed = enqueue.add(conn, order, retry_ended=True, force=True)
        run = claims.claim(db.engine, placed.run_id, job=job, worker="test", lease_s=lease_s)
        assert run is not None
        return run

    return start


@pytest.fixture
def reader(db: Database) -> Iterator[Engine]:
    """An engine of the read-only login."""
    url = at(db.url, user="ocd_reader", password="reader")
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
    yield engine
    engine.dispose()


@pytest.fixture
def check_quality(
    conn: Connection,
    reader: Engine,
    start_run: Callable[..., Run],
    keeper_for: Callable[[Run], Keeper],
) -> Callable[..., QualityReport]:
    """Check rules in a run of their own, all of them unless said otherwise; `now` is NOW."""

    def deed(rules: Sequence[Rule] | None = None, **how: Any) -> QualityReport:
        conn.commit()
        run = start_run("quality.check", subject={"dataset": f"check-{next(_numbers)}"})
        asked = load() if rules is None else rules
        with_defaults = {"run": run, "now": NOW, "reader": reader} | how
        return check(conn, asked, keeper=keeper_for(run), **with_defaults)

    return deed


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Redis for this session."""
    home = tmp_path_factory.mktemp("broker") / ".ocd"
    home.mkdir()
    redis = Redis(home)
    redis.start()
    yield redis.url()
    redis.stop()


@pytest.fixture
def task_layer(db: Database, broker: str) -> Iterator[Database]:
    """The task layer of this process on a database of the test's own; nobody works on what it sends."""
    from tasks.app import app

    before = runtime.environment()
    runtime.release()
    runtime.use(
        {"OCD_DATABASE_URL": db.url, "OCD_REDIS_URL": broker, "OCD_SIGNING_KEY": KEYS.keys[0]}
    )
    app.conf.broker_url = broker
    yield db
    runtime.release()
    runtime.use(before)


@pytest.fixture
def shell() -> Iterator[Shell]:
    """A shell with a fresh home; everything is down afterwards."""
    with fresh_home() as made:
        yield made


@pytest.fixture(scope="module")
def night() -> Iterator[Shell]:
    """A home in which one night ran, seeded with planted faults; worker and Flower are still up."""
    with fresh_home() as made:
        made("seed", "--rows", "3000", "--faults")
        made("night", "--keep")
        yield made
