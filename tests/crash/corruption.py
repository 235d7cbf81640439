"""Damage to stored backups, at random: every case has to be detected, none may crash, none may pass.

`python -m tests.crash.corruption --cases 200 --seed 1` prints every case and what it came to.
"""

from __future__ import annotations

import argparse
import errno
import itertools
import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import psycopg
import pyrage
from psycopg import sql
from sqlalchemy import Engine, NullPool, create_engine, make_url

from ocd.core import migrate
from ocd.core.bucket import BucketStore
from ocd.core.cluster import scratch_postgres
from ocd.core.db import sqlalchemy_url
from ocd.core.errors import ConfigError, ContractBroken, StoreUnavailable
from ocd.core.sealed import SealedStore
from ocd.core.signing import SigningKeys
from ocd.core.store import FolderStore, Store
from ocd.ledger import claims, enqueue
from ocd.ledger.artifacts import Keeper
from ocd.ledger.claims import Ending
from ocd.ledger.run import Run
from ocd.ledger.states import State
from ocd.ledger.windows import Daily
from ocd.lifecycle.backup import backup
from ocd.lifecycle.verify import verify
from tests.fakes.s3 import BUCKET, FakeS3, fake_s3

NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
KEYS = SigningKeys(("the-key-that-signs-0123456789abcdef",))
OTHER_KEYS = SigningKeys(("another-key-0123456789abcdefghijkl",))
_FILL = """
    insert into agent_queries (query, result, conversation_id, agent, created_at)
    select E'a\\tb\\n' || md5(i::text), jsonb_build_object('n', i, 'text', md5((i * 3)::text)), 'c' || i % 9, 'support', now()
    from generate_series(1, 800) i;
    insert into agent_feedback (conversation_id, input_text, model_draft)
    select 'c' || i, md5(i::text), md5((i * 5)::text) from generate_series(1, 200) i;
"""


@dataclass
class Desk:
    """A database with rows, and how to restore: what every case starts from."""

    engine: Engine
    scratch: Callable[[], AbstractContextManager[str]]
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def start(self, job: str) -> Run:
        """Order and claim a run of a window that no other case has."""
        window = f"{datetime(2000, 1, 1) + timedelta(days=next(self.numbers)):%Y-%m-%d}"
        order = enqueue.Order(job, Daily().parse(window), "long", params={}, subject={})
        with self.engine.begin() as conn:
            placed = enqueue.add(conn, order)
        run = claims.claim(self.engine, placed.run_id, job=job, worker="drill", lease_s=300)
        assert run is not None
        return run

    def end(self, run: Run, state: State = State.DONE) -> None:
        """End a run."""
        evidence = {"type": "T", "version": 1} if state is State.DONE else None
        error = None if state is State.DONE else "Drill"
        with self.engine.begin() as conn:
            claims.finish(
                conn,
                run,
                Ending(state, state.value, rows=0, evidence=evidence, error_class=error),
            )

    def back_up(self, store: Store) -> Run:
        """Make a backup; a run that fails ends as failed."""
        run = self.start("lifecycle.backup")
        with self.engine.connect() as conn:
            try:
                backup(conn, run=run, store=store, keeper=_keeper(store, run), keys=KEYS)
            except BaseException:
                self.end(run, State.FAILED)
                raise
        self.end(run)
        return run

    def prove(self, store: Store, keys: SigningKeys = KEYS) -> None:
        """Verify the newest backup; raises what the job would."""
        run = self.start("lifecycle.verify")
        with self.engine.connect() as conn:
            try:
                verify(
                    conn,
                    run=run,
                    store=store,
                    keeper=_keeper(store, run),
                    keys=keys,
                    scratch=self.scratch,
                )
            except BaseException:
                self.end(run, State.FAILED)
                raise
        self.end(run)

    def value(self, query: str, *parameters: Any) -> Any:
        """Return one value."""
        with self.engine.connect() as conn:
            return conn.exec_driver_sql(query, parameters).scalar()


def _keeper(store: Store, run: Run) -> Keeper:
    return Keeper(store, run.id, NOW, timedelta(days=90))


@contextmanager
def desk() -> Iterator[Desk]:
    """Start a server with a filled database, and a migrated one to restore into."""
    with scratch_postgres() as url, psycopg.connect(url, autocommit=True) as admin:
        migrate.upgrade(url)
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(_FILL)
        template = _named(url, "template_empty")
        admin.execute("create database template_empty")
        migrate.upgrade(template)
        engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
        yield Desk(engine, lambda: _scratch(admin, url))
        engine.dispose()


@contextmanager
def _scratch(admin: psycopg.Connection[Any], url: str) -> Iterator[str]:
    admin.execute("create database drill_scratch template template_empty strategy file_copy")
    try:
        yield _named(url, "drill_scratch")
    finally:
        admin.execute(sql.SQL("drop database drill_scratch with (force)"))


def _named(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


@dataclass(frozen=True)
class Outcome:
    """A case, and what it came to: detected, passed or crashed."""

    number: int
    kind: str
    where: str
    verdict: str
    said: str

    def __str__(self) -> str:
        return f"case {self.number:4}  {self.kind:22} {self.where:44} {self.verdict:9} {self.said[:90]}"


class _Folder:
    """The files of one backup, to be damaged."""

    def __init__(self, store: FolderStore, dice: random.Random) -> None:
        self._dice = dice
        self.files = sorted(store.path(name) for name in store.list("backups"))
        self.parts = [path for path in self.files if path.suffix == ".zst"]
        self.manifest = next(path for path in self.files if path.name == "manifest.json")

    def any_file(self) -> Path:
        """Choose a file, one that is not empty."""
        return self._dice.choice([path for path in self.files if path.stat().st_size])

    def full_part(self) -> Path:
        """Choose a part that holds rows."""
        return self._dice.choice([path for path in self.parts if path.name.startswith("agent_q")])


def flip(folder: _Folder, dice: random.Random) -> str:
    """One bit, anywhere."""
    path = folder.any_file()
    content = bytearray(path.read_bytes())
    at = dice.randrange(len(content))
    content[at] ^= 1 << dice.randrange(8)
    path.write_bytes(content)
    return f"{path.name} byte {at}"


def cut(folder: _Folder, dice: random.Random) -> str:
    """The end is missing."""
    path = folder.any_file()
    left = dice.randrange(path.stat().st_size)
    path.write_bytes(path.read_bytes()[:left])
    return f"{path.name} after {left}"


def append(folder: _Folder, dice: random.Random) -> str:
    """Something stands behind the end."""
    path = folder.any_file()
    more = dice.randbytes(dice.randrange(1, 50))
    path.write_bytes(path.read_bytes() + more)
    return f"{path.name} + {len(more)}"


def overwrite(folder: _Folder, dice: random.Random) -> str:
    """A block of zeros, as a lost sector leaves it."""
    path = folder.any_file()
    content = bytearray(path.read_bytes())
    at = dice.randrange(len(content))
    block = content[at : at + 512]
    content[at : at + 512] = bytes(len(block)) if any(block) else b"\xff" * len(block)
    path.write_bytes(content)
    return f"{path.name} from {at}"


def lose(folder: _Folder, dice: random.Random) -> str:
    """A file is gone."""
    path = dice.choice(folder.files)
    path.unlink()
    return path.name


def swap(folder: _Folder, dice: random.Random) -> str:
    """Two parts under each other's name."""
    one, other = (
        folder.full_part(),
        dice.choice([path for path in folder.parts if path.name.startswith("agent_f")]),
    )
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    return f"{one.name} and {other.name}"


def _body(folder: _Folder) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(folder.manifest.read_text())["manifest"]
    return found


def _write(
    folder: _Folder, body: dict[str, Any], keys: SigningKeys | None, old: Any = None
) -> None:
    signature = (
        old if keys is None else asdict(keys.sign(json.dumps(body, separators=(",", ":")).encode()))
    )
    signed = {"manifest": body, "signature": signature}
    folder.manifest.write_text(json.dumps(signed, separators=(",", ":")))


def forge(folder: _Folder, dice: random.Random) -> str:
    """The manifest says something else, under the old signature."""
    old = json.loads(folder.manifest.read_text())["signature"]
    body = _body(folder)
    dice.choice(body["parts"])["rows"] += 1
    _write(folder, body, None, old)
    return "rows"


def forge_with_other_key(folder: _Folder, dice: random.Random) -> str:
    """The manifest says something else, signed with a key of the forger's."""
    body = _body(folder)
    dice.choice(body["parts"])["content_hash"] = "0:0"
    _write(folder, body, OTHER_KEYS)
    return "content hash"


def other_version(folder: _Folder, dice: random.Random) -> str:
    """A manifest of a version that this code does not know, rightly signed."""
    body = _body(folder) | {"version": dice.choice([0, 1, 3, 99, None, "2"])}
    _write(folder, body, KEYS)
    return f"version {body['version']!r}"


def no_manifest(folder: _Folder, dice: random.Random) -> str:
    """JSON of another shape, or none at all."""
    text = dice.choice(["", "{", "[]", "null", '{"manifest":1,"signature":2}', "\x00" * 50])
    folder.manifest.write_text(text)
    return repr(text)[:30]


DAMAGES = (
    flip,
    flip,
    flip,
    cut,
    append,
    overwrite,
    lose,
    swap,
    forge,
    forge_with_other_key,
    other_version,
    no_manifest,
)


class Full(FolderStore):
    """A folder on a disk that is full after `room` bytes."""

    room = 0

    def create(self, name: str) -> Any:
        """Open a file that fails as a full disk does."""
        writer = super().create(name)
        write = writer._file.write

        def limited(block: bytes) -> int:
            self.room -= len(block)
            if self.room < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(block)

        writer._file = _Limited(writer._file, limited)
        return writer


class _Limited:
    """A file whose `write` is another's."""

    def __init__(self, file: Any, write: Callable[[bytes], int]) -> None:
        self._file, self.write = file, write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def drill(
    made: Desk, *, cases: int, seed: int, say: Callable[[Outcome], None] = lambda one: None
) -> list[Outcome]:
    """Run the cases; each damages a backup of its own."""
    dice = random.Random(seed)
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="ocd-drill-") as name:
        pristine = _pristine(made, Path(name))
        for number in range(1, cases + 1):
            kind = dice.choices(
                ["stored", "sealed", "stale", "wrong key", "full disk", "bucket"],
                [60, 15, 8, 5, 6, 6],
            )[0]
            outcomes.append(_case(made, number, kind, pristine, Path(name) / "case", dice))
            say(outcomes[-1])
    return outcomes


@dataclass(frozen=True)
class _Pristine:
    older: Path
    plain: Path
    sealed: Path
    public: str
    identity: Path
    wrong_identity: Path


def _pristine(made: Desk, folder: Path) -> _Pristine:
    """Make the backups that every case copies: an older one, the newest, and an encrypted one."""
    pair, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    (folder / "identity").write_text(f"{pair}\n")
    (folder / "wrong").write_text(f"{other}\n")
    made.back_up(FolderStore(folder / "older"))
    found = _Pristine(
        folder / "older",
        folder / "plain",
        folder / "sealed",
        str(pair.to_public()),
        folder / "identity",
        folder / "wrong",
    )
    made.back_up(SealedStore(FolderStore(found.sealed), (found.public,), None))
    return found


def _case(
    made: Desk, number: int, kind: str, pristine: _Pristine, folder: Path, dice: random.Random
) -> Outcome:
    shutil.rmtree(folder, ignore_errors=True)
    deed = {
        "stored": _damaged_plain,
        "sealed": _damaged_sealed,
        "stale": _stale,
        "wrong key": _wrong_key,
        "full disk": _full_disk,
        "bucket": _bucket,
    }[kind]
    where = [kind, ""]
    verdict, said = "PASSED", ""
    try:
        deed(made, pristine, folder, dice, where)
    except (ContractBroken, ConfigError, StoreUnavailable) as error:  # what a person can act on
        verdict, said = "detected", f"{type(error).__name__}: {error.message}"
    except Exception as error:  # noqa: BLE001 - what the drill is about
        verdict, said = "CRASHED", f"{type(error).__name__}: {error}"
    return Outcome(number, where[0], where[1], verdict, said)


def _damaged_plain(
    made: Desk, pristine: _Pristine, folder: Path, dice: random.Random, where: list[str]
) -> None:
    store = FolderStore(folder)
    made.back_up(store)
    damage = dice.choice(DAMAGES)
    where[:] = [damage.__name__, damage(_Folder(store, dice), dice)]
    made.prove(store)


def _damaged_sealed(
    made: Desk, pristine: _Pristine, folder: Path, dice: random.Random, where: list[str]
) -> None:
    plain = FolderStore(folder)
    made.back_up(SealedStore(plain, (pristine.public,), None))
    damage = dice.choice([flip, cut, append, overwrite, lose, swap])
    where[:] = [f"{damage.__name__} (encrypted)", damage(_Folder(plain, dice), dice)]
    made.prove(SealedStore(plain, (pristine.public,), pristine.identity))


def _stale(
    made: Desk, pristine: _Pristine, folder: Path, dice: random.Random, where: list[str]
) -> None:
    """Files of an older backup, whole and rightly signed, in the place of the newer one's."""
    store = FolderStore(folder)
    made.back_up(store)
    older = {path.name: path for path in pristine.older.rglob("*") if path.is_file()}
    files = _Folder(store, dice)
    what = dice.choice(["manifest", "everything"])
    where[1] = what
    for path in files.files if what == "everything" else [files.manifest]:
        shutil.copy(older[path.name], path)
    made.prove(store)


def _wrong_key(
    made: Desk, pristine: _Pristine, folder: Path, dice: random.Random, where: list[str]
) -> None:
    where[1] = dice.choice(["signing", "identity", "no identity"])
    if where[1] == "signing":
        store: Store = FolderStore(folder)
        made.back_up(store)
        made.prove(store, OTHER_KEYS)
        return
    made.back_up(SealedStore(FolderStore(folder), (pristine.public,), None))
    wrong = pristine.wrong_identity if where[1] == "identity" else None
    made.prove(SealedStore(FolderStore(folder), (pristine.public,), wrong))


def _full_disk(
    made: Desk, pristine: _Pristine, folder: Path, dice: random.Random, where: list[str]
) -> None:
    store = Full(folder)
    store.room = dice.randrange(60_000)
    where[1] = f"after {store.room} bytes"
    try:
        made.back_up(store)
    finally:
        assert store.list("") == [], "a full disk left files"


def _bucket(
    made: Desk, pristine: _Pristine, folder: Path, dice: random.Random, where: list[str]
) -> None:
    """A bucket that fails from some request on, while it is written to or while it is read."""
    with fake_s3() as fake:
        store = _bucket_store(fake)
        is_writing = dice.random() < 0.5
        fault = dice.choice(["503", "reset", "timeout", *([] if is_writing else ["cut"])])
        if not is_writing:
            made.back_up(store)
        before = made.value(
            "select count(*) from ocd.artifact where name like 'backups/%%/manifest.json'"
        )
        start = len(fake.journal) + dice.randrange(20)
        where[1] = f"{fault} while {'writing' if is_writing else 'reading'} from request {start}"
        fake.fault = lambda method, path: (
            fault if len(fake.journal) > start and (fault != "cut" or method == "GET") else None
        )
        try:
            made.back_up(store) if is_writing else made.prove(store)
        finally:
            counts = made.value(
                "select count(*) from ocd.artifact where name like 'backups/%%/manifest.json'"
            )
            assert not is_writing or counts == before, "a failed backup counts"


def _bucket_store(fake: FakeS3) -> BucketStore:
    quick = {"max_retries": 0, "retry_timeout": timedelta(seconds=2)}
    client = {"allow_http": True, "timeout": "1s", "connect_timeout": "1s"}
    return BucketStore(
        f"s3://{BUCKET}/drill", **fake.options, client_options=client, retry_config=quick
    )


def told(outcomes: list[Outcome]) -> str:
    """Return the counts."""
    verdicts = Counter(one.verdict for one in outcomes)
    kinds = Counter(one.kind for one in outcomes)
    return (
        f"{len(outcomes)} cases: {verdicts['detected']} detected, {verdicts['PASSED']} passed,"
        f" {verdicts['CRASHED']} crashed; "
        + ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))
    )


def main(arguments: list[str]) -> int:
    """Run the drill from a shell."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.corruption", description=__doc__)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    with desk() as made:
        outcomes = drill(made, cases=given.cases, seed=given.seed, say=click.echo)
    click.echo(told(outcomes))
    return 0 if all(one.verdict == "detected" for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
