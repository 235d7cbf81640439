"""What becomes of a sitemap file, whatever is wrong with it: read through the whole visit, from loopback."""

from __future__ import annotations

import gzip
import tempfile
import zlib
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ocd.core.errors import OcdError
from ocd.core.store import FolderStore
from ocd.sources.sitemaps.fetch import Visit
from ocd.sources.sitemaps.site import read_site
from tests.factories.clock import NOW
from tests.fakes.site import fake_site

#: The shop that the files speak of; what is served speaks of the site on loopback instead.
SHOP = b"https://shop.example"


@dataclass(frozen=True)
class Outcome:
    """Read: how many distinct URLs, with lastmod, warnings by kind. Refused: `error` and why."""

    urls: int = 0
    duplicates: int = 0
    dated: int = 0
    warnings: Counter[str] = field(default_factory=Counter)
    error: str = ""
    asked: tuple[str, ...] = ()

    @property
    def is_refused(self) -> bool:
        return bool(self.error)


@contextmanager
def serving(files: dict[str, bytes], shop: bytes = SHOP):
    """Serve files under their names; yields a function name → Outcome."""
    with fake_site() as site, tempfile.TemporaryDirectory() as folder:
        store = FolderStore(Path(folder))
        for name, body in files.items():
            site.put(f"/{name}", _here(body, shop, site.url.encode()))

        def outcome(name: str) -> Outcome:
            site.journal.clear()
            return _read(f"{site.url}/{name}", site, store)

        yield outcome


def _here(body: bytes, shop: bytes, url: bytes) -> bytes:
    if not body.startswith(b"\x1f\x8b"):
        return body.replace(shop, url)
    if len(body) > 100_000:  # a bomb stays packed
        return body
    try:
        return gzip.compress(gzip.decompress(body).replace(shop, url))
    except (OSError, EOFError, zlib.error):
        return body


def _read(url: str, site, store: FolderStore) -> Outcome:
    try:
        with (
            Visit((site.host,), NOW) as visit,
            read_site(url, visit=visit, store=store, known={}, progress=lambda *_: None) as found,
        ):
            return Outcome(
                urls=len(found.entries),
                duplicates=found.duplicates,
                dated=sum(one.lastmod_at is not None for one in found.entries.values()),
                warnings=found.warnings,
                asked=tuple(site.journal),
            )
    except OcdError as error:
        return Outcome(error=f"{type(error).__name__}: {error.message}", asked=tuple(site.journal))
