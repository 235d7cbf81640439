"""A home: embedded servers running, migrated, with the demo's settings where nobody set others."""

from __future__ import annotations

import socket
from pathlib import Path

from sqlalchemy import NullPool, create_engine

from ocd.core import migrate
from ocd.core.db import sqlalchemy_url
from ocd.core.embedded import Servers, make_private, secret
from ocd.core.settings import Settings

DEMO = Path(__file__).parent / "demo"
#: The demo's GA4 property; recorded data never poses as a real one's.
DEMO_PROPERTY = "100000001"


def open_home(settings: Settings, servers: Servers, *, with_redis: bool) -> Settings:
    """Start the home's servers, migrate, and return the settings that reach them.

    `servers` stays attached; the caller releases it. Only for embedded settings.
    """
    servers.attach(with_redis=with_redis)
    owner_url = servers.postgres.url("owner")
    engine = create_engine(sqlalchemy_url(owner_url), poolclass=NullPool)
    with engine.connect() as conn:
        revision = migrate.current(conn)
    if revision != migrate.head():
        migrate.upgrade(owner_url)
    with engine.connect() as conn:
        migrate.require_head(conn)
    return _demo(settings).replace(
        database_url=servers.postgres.url("worker"),
        owner_database_url=owner_url,
        reader_database_url=servers.postgres.url("reader"),
        redis_url=servers.redis.url() if servers.redis.pid() is not None else None,
        purge_enabled=True,
        signing_key=settings.signing_key or (secret(settings.home, "signing"),),
        erasure_key=settings.erasure_key or secret(settings.home, "erasure-key"),
    )


def demo_site_port(home: Path) -> int:
    """Return the demo site's port: chosen once per home, so that its snapshots have one history."""
    path = home / "site.port"
    if path.exists():
        return int(path.read_text(encoding="utf-8"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    make_private(home)
    path.write_text(f"{port}\n", encoding="utf-8")
    return port


def _demo(settings: Settings) -> Settings:
    """Fill in the demo's sources where nothing else was set."""
    if settings.ga_backend is None:
        settings = settings.replace(
            ga_backend="recorded", ga_recordings=DEMO / "ga4", ga_property=DEMO_PROPERTY
        )
    if settings.sitemap_url is None:
        host = f"127.0.0.1:{demo_site_port(settings.home)}"
        settings = settings.replace(
            sitemap_url=f"http://{host}/sitemap.xml", sitemap_allow_hosts=(host,)
        )
    return settings
