"""Scratch servers that stay up until a person drops them, for looking at what was restored.

Each lies in `<home>/scratch/<name>`, its superuser URL in a file of mode 600 beside it. It holds customers'
data: whoever starts one drops it when done.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ocd.core.cluster import SCRATCH_CONF, Cluster, Identity, database_url
from ocd.core.embedded import make_private
from ocd.core.errors import UnknownName


@dataclass(frozen=True)
class Kept:
    """A scratch server: its name, where its URL can be read, whether it runs."""

    name: str
    url_file: Path
    is_running: bool


def start(home: Path, name: str) -> str:
    """Start an empty server under this name, in place of an earlier one, and return its superuser URL."""
    folder = home / "scratch"
    make_private(home)
    folder.mkdir(exist_ok=True)
    if (folder / name).exists():
        drop(home, name)
    identity = Identity.unprivileged()
    # Root's servers run as `nobody`, who does not reach every home.
    base = Path(tempfile.mkdtemp(prefix=f"ocd-{name}-"))
    identity.own(base)
    (folder / name).symlink_to(base)
    cluster = Cluster(base, identity, SCRATCH_CONF)
    password = secrets.token_urlsafe(24)
    cluster.initialise(password, durable=False)
    cluster.start()
    where = cluster.socket_folder()
    assert where is not None, "pg_ctl said that the server is ready"  # noqa: S101
    url = database_url("postgres", password, "postgres", where)
    descriptor = os.open(url_file(home, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(url + "\n")
    return url


def url_file(home: Path, name: str) -> Path:
    """Return the file that a server's URL stands in."""
    return home / "scratch" / f"{name}.url"


def kept(home: Path) -> list[Kept]:
    """Return the scratch servers of a home, by name."""
    links = sorted(path for path in (home / "scratch").glob("*") if path.is_symlink())
    return [
        Kept(link.name, url_file(home, link.name), _cluster(link).pid() is not None)
        for link in links
    ]


def drop(home: Path, name: str) -> None:
    """Stop a scratch server and remove it with all that was restored; raises UnknownName."""
    link = home / "scratch" / name
    if not link.is_symlink():
        raise UnknownName("scratch server", name, [one.name for one in kept(home)] or ["(none)"])
    base = link.resolve()
    if base.exists():
        _cluster(link).stop("immediate")
        shutil.rmtree(base)
    url_file(home, name).unlink(missing_ok=True)
    link.unlink()


def _cluster(link: Path) -> Cluster:
    return Cluster(link.resolve(), Identity.unprivileged(), SCRATCH_CONF)
