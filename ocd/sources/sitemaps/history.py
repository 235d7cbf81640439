"""What is stored of a site's sitemap: what stands, what a reading was made of, what changed between two."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from ocd.core.errors import ConfigError
from ocd.core.sqlfiles import statement
from ocd.core.store import Store
from ocd.sources.sitemaps import bodies, reader
from ocd.sources.sitemaps.policy import Diff
from ocd.sources.sitemaps.reader import Entry
from ocd.sources.sitemaps.site import File

_READINGS = statement(__file__, "list_readings.sql")
_DIFF = statement(__file__, "list_diff.sql")


@dataclass(frozen=True)
class Standing:
    """The newest believed reading and {URL: fingerprint} as it stands; no id before the first."""

    id: int | None
    urls: dict[str, str]
    files: list[File]


def standing(conn: Connection, site: str) -> Standing:
    """Return what stands of a site."""
    rows = conn.execute(
        text("""
            select loc, fingerprint from landing.sitemap_url
            where site = :site and gone_snapshot_id is null
        """),
        {"site": site},
    )
    newest = newest_id(conn, site)
    return Standing(
        newest, {row.loc: row.fingerprint for row in rows}, files(conn, newest) if newest else []
    )


def newest_id(conn: Connection, site: str) -> int | None:
    """Return the id of the newest believed reading, None before the first."""
    found: int | None = conn.execute(
        text("select max(id) from landing.sitemap_snapshot where site = :site"), {"site": site}
    ).scalar()
    return found


def files(conn: Connection, snapshot_id: int) -> list[File]:
    """Return the files of a reading in the order in which they were read."""
    rows = conn.execute(
        text("""
            select loc, url_count, sha256, bytes_wire, bytes_plain, is_not_modified, etag, last_modified
            from landing.sitemap_file where snapshot_id = :id order by id
        """),
        {"id": snapshot_id},
    )
    return [File(**row) for row in rows.mappings()]


def readings(
    conn: Connection, *, site: str | None = None, limit: int = 400
) -> list[dict[str, Any]]:
    """Return readings, held ones among them, newest first."""
    return [dict(row) for row in conn.execute(_READINGS, {"site": site, "limit": limit}).mappings()]


def diff(conn: Connection, store: Store, before: int, after: int) -> Diff:
    """Return what changed between two readings of one site; raises ConfigError unless they are that.

    Added, removed and changed come from the history, which keeps every change; lastmod comes from the
    copies of both readings, as long as they are kept.
    """
    first, second = _reading(conn, before), _reading(conn, after)
    if first["site"] != second["site"]:
        raise ConfigError(f"readings {before} and {after} are of different sites")
    rows = conn.execute(_DIFF, {"site": first["site"], "before": before, "after": after}).all()
    of_kind = {
        kind: tuple(row.loc for row in rows if row.kind == kind)
        for kind in ("added", "removed", "content_changed")
    }
    found = Diff(**of_kind)
    claims = {entry.loc: entry for entry in _entries(conn, store, second)}
    if not claims:
        return found
    changed = frozenset(found.content_changed)
    stands = {loc: entry for loc, entry in claims.items() if loc not in changed}
    return replace(
        found, lastmod_only=lastmod_only(store, files(conn, before), stands, first["hosts"])
    )


def lastmod_only(
    store: Store,
    before: list[File],
    now_stands: Mapping[str, Entry],
    hosts: Iterable[str],
    *,
    unchanged: frozenset[str] = frozenset(),
) -> tuple[str, ...] | None:
    """Return the URLs whose lastmod differs from the copies of an earlier reading; None where one is gone.

    `now_stands` are the URLs of which nothing else changed; files whose hash is in `unchanged` say
    the same as before.
    """
    told = [one for one in before if one.sha256 not in unchanged]
    if not before or not all(bodies.is_kept(store, one.sha256) for one in told):
        return None
    seen: set[str] = set()
    found = []

    def compare(entry: Entry) -> None:
        now = now_stands.get(entry.loc)
        if entry.loc not in seen and now is not None and now.lastmod_raw != entry.lastmod_raw:
            found.append(entry.loc)
        seen.add(entry.loc)

    for one in told:
        _parse(store, one, frozenset(hosts), compare)
    return tuple(sorted(found))


def _entries(conn: Connection, store: Store, reading: Mapping[str, Any]) -> list[Entry]:
    """Return every URL of a reading as it was claimed; none where a copy is gone."""
    of_reading = files(conn, reading["id"])
    if not all(bodies.is_kept(store, one.sha256) for one in of_reading):
        return []
    found: dict[str, Entry] = {}
    for one in of_reading:
        _parse(
            store,
            one,
            frozenset(reading["hosts"]),
            lambda entry: found.setdefault(entry.loc, entry),
        )
    return list(found.values())


def _parse(
    store: Store, file: File, hosts: frozenset[str], keep: Callable[[Entry], object]
) -> None:
    # `now` only judges claims of the future; raw claims are what is compared.
    reader.parse(bodies.plain(store, file.sha256), keep, hosts=hosts, now=_LONG_AGO)


_LONG_AGO = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


def _reading(conn: Connection, snapshot_id: int) -> dict[str, Any]:
    rows = conn.execute(
        text("select id, site, hosts from landing.sitemap_snapshot where id = :id"),
        {"id": snapshot_id},
    )
    row = rows.mappings().first()
    if row is None:
        raise ConfigError(f"there is no reading {snapshot_id}; see `ocd sitemap list`")
    return dict(row)
