"""Sitemaps of the real world, as a drill: broken ones by class, a daily series, and noise without end.

`python -m tests.sources.sitemap_drill FOLDER` reads FOLDER/broken (EXPECT.json says what a good reader does),
FOLDER/valid, FOLDER/shopify and the daily files of FOLDER/series*. The noise grows out of all of them;
`tests.sources.sitemap_fuzz` looks further, guided by coverage. Exits with 1 where anything is not as it should be.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import click
import psutil
from sqlalchemy import Engine, NullPool, create_engine

from ocd.core import migrate
from ocd.core.cluster import scratch_postgres
from ocd.core.db import sqlalchemy_url
from ocd.core.errors import ApprovalNeeded
from ocd.core.store import FolderStore
from ocd.ledger import claims, enqueue
from ocd.ledger.artifacts import Keeper
from ocd.ledger.run import Run
from ocd.ledger.windows import Daily
from ocd.sources.sitemaps import policy
from ocd.sources.sitemaps.snapshot import snapshot
from tests.factories.clock import NOW
from tests.fakes.site import FakeSite, fake_site
from tests.sources.broken import Outcome, serving
from tests.sources.noise import noise

_REFUSED = ("reject", "not well-formed", "stop", "nested index", "fetch none", "bounded")
_ORIGIN = re.compile(rb"<loc>\s*(https?://[^/<\s]+)")
#: Memory that a whole drill of broken files or noise may add to the process.
MAX_GROWTH_MB = 40


def is_as_expected(expect: str, found: Outcome) -> bool:
    """Whether an outcome is what a sentence of EXPECT.json asks for."""
    if expect.startswith(_REFUSED):
        return found.is_refused
    if count := re.search(r"accept (\d+)|(\d+) distinct", expect):
        return not found.is_refused and found.urls == int(count[1] or count[2])
    if "warning" in expect:
        return not found.is_refused and bool(found.warnings)
    if dated := re.search(r"first (\d+) are valid", expect):
        return found.dated == int(dated[1]) and found.urls > found.dated
    if expect.startswith("classify each"):
        kinds = found.error.count(" x ") + len(found.warnings)
        return kinds >= 5
    return True  # either way is fine, as long as it ends


def broken(folder: Path) -> list[str]:
    """Read every broken file; returns what was not as it should be."""
    expected = {
        name: one["expect"]
        for name, one in json.loads((folder / "EXPECT.json").read_text()).items()
    }
    files = {name: (folder / name).read_bytes() for name in expected}
    wrong = []
    with serving(files, _shop_of(files)) as outcome:
        for name, expect in expected.items():
            found = outcome(name)
            is_well = is_as_expected(expect, found)
            said = found.error or f"{found.urls} URLs {dict(found.warnings) or ''}"
            click.echo(f"{'ok   ' if is_well else 'WRONG'} {name:28} {said[:110]}")
            wrong += [] if is_well else [f"{name}: expected {expect}; {said}"]
    return wrong


def _shop_of(files: dict[str, bytes]) -> bytes:
    origins = [found for body in files.values() for found in _ORIGIN.findall(body)]
    return max(set(origins), key=origins.count)


def series(folder: Path) -> list[str]:
    """Replay a daily series into a database of its own; returns what was not as it should be."""
    files = sorted(path for path in folder.iterdir() if ".xml" in path.name)
    wrong, held, last = [], [], frozenset()
    with _database() as engine, fake_site() as site, tempfile.TemporaryDirectory() as store:
        site.series = [_of_here(path, site) for path in files]
        take = _taking(engine, site, Path(store))
        for day, path in enumerate(files):
            site.day = day
            listed = frozenset(_locs(site.series[day]))
            removed = last - listed
            is_jump = bool(
                last
                and abs(len(listed) - len(last)) > max(policy.MAX_SHARE * len(last), policy.FEW)
            )
            try:
                report = take(day)
            except ApprovalNeeded as error:
                held.append(path.name[:10])
                click.echo(f"held  {path.name[:10]}  {error.message.partition(';')[0]}")
                wrong += [] if is_jump else [f"{path.name}: held without a jump"]
                continue
            if is_jump:
                wrong.append(f"{path.name}: {len(listed)} after {len(last)} URLs was believed")
            if last and report.removed != len(removed):
                wrong.append(f"{path.name}: {report.removed} removed, truly {len(removed)}")
            last = listed
            click.echo(
                f"      {path.name[:10]}  {report.rows} URLs, added {report.added}, removed {report.removed}, changed"
                f" {report.content_changed}, lastmod only {report.lastmod_only}{', uniform' if report.is_lastmod_uniform else ''}"
            )
    click.echo(f"{len(files)} files, held: {', '.join(held) or 'none'}")
    return wrong


def _of_here(path: Path, site: FakeSite) -> bytes:
    body = path.read_bytes()
    plain = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
    return gzip.compress(plain.replace(_shop_of({"": plain}), site.url.encode()), mtime=0)


def _locs(body: bytes) -> list[bytes]:
    return re.findall(rb"<loc>\s*([^<\s]+)", gzip.decompress(body).replace(b"image:loc", b""))


@contextmanager
def _database() -> Iterator[Engine]:
    with scratch_postgres() as url:
        migrate.upgrade(url)
        engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
        yield engine
        engine.dispose()


def _taking(engine: Engine, site: FakeSite, folder: Path) -> Callable[[int], object]:
    store = FolderStore(folder)

    def take(day: int):
        run = _run(engine, day)
        with engine.connect() as conn:
            return snapshot(
                conn,
                site_url=f"{site.url}/sitemap.xml",
                allow_hosts=(site.host,),
                sample_pages=0,
                now=NOW + timedelta(days=day),
                run=run,
                keeper=Keeper(store, run.id, NOW, timedelta(days=900)),
            )

    return take


def _run(engine: Engine, day: int) -> Run:
    order = enqueue.Order(
        "sources.snapshot_sitemap",
        Daily().parse("2026-11-23"),
        "io",
        params={},
        subject={"day": day},
    )
    with engine.begin() as conn:
        placed = enqueue.add(conn, order)
    run = claims.claim(engine, placed.run_id, job=order.job, worker="drill", lease_s=600)
    assert run is not None
    return run


def main() -> int:
    """Run the drill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fuzz-s", type=float, default=20.0, help="seconds of noise, default 20")
    options = parser.parse_args()
    seeds = [
        path.read_bytes()
        for kind in ("broken", "valid", "shopify")
        for path in (options.folder / kind).glob("*.xml*")
    ]
    seeds = [body for body in seeds if len(body) < 200_000]
    before = psutil.Process().memory_info().rss
    wrong = broken(options.folder / "broken")
    count, slow = noise(seeds, seconds=options.fuzz_s, seed=options.seed)
    click.echo(f"{count:,} mutations read in {options.fuzz_s:.0f} s")
    wrong += slow
    grown = (psutil.Process().memory_info().rss - before) / 1e6
    click.echo(f"memory grew by {grown:.0f} MB")
    wrong += [f"memory grew by {grown:.0f} MB"] if grown > MAX_GROWTH_MB else []
    for folder in sorted(options.folder.glob("series*")):
        wrong += series(folder)
    for one in wrong:
        click.echo(f"WRONG {one}")
    click.echo("as it should be" if not wrong else f"{len(wrong)} wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
