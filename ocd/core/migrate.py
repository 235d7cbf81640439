"""Apply the migrations: upgrade, downgrade, where the database stands."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from ocd.core.db import redacted, sqlalchemy_url
from ocd.core.errors import ConfigError, SchemaMismatch


def head() -> str:
    """Return the revision this code stands at."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None, "there is at least one migration"  # noqa: S101
    return revision


def current(conn: Connection) -> str | None:
    """Return the revision the database stands at; None where nothing was ever applied."""
    exists = conn.execute(text("select to_regclass('ocd.alembic_version')")).scalar()
    if exists is None:
        return None
    found: str | None = conn.execute(text("select version_num from ocd.alembic_version")).scalar()
    return found


def require_head(conn: Connection) -> None:
    """Raise SchemaMismatch, saying which side is behind, unless code and database agree."""
    there, here = current(conn), head()
    if there == here:
        return
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if there is None or there in known:
        raise SchemaMismatch(
            f"the database is at revision {there or '(none)'}, the code needs {here}: run `ocd db upgrade` with the owner's URL"
        )
    raise SchemaMismatch(
        f"the database is at revision {there}, which this code (at {here}) does not know: update the code"
    )


def upgrade(url: str, revision: str = "head") -> None:
    """Apply migrations up to `revision`; raises ConfigError where the database refuses."""
    _run(url, lambda config: command.upgrade(config, revision))


def downgrade(url: str, revision: str) -> None:
    """Undo migrations down to `revision` (`base` for all); raises ConfigError where they refuse."""
    _run(url, lambda config: command.downgrade(config, revision))


def _run(url: str, deed: Callable[[Config], None]) -> None:
    engine = create_engine(
        sqlalchemy_url(url), poolclass=NullPool, connect_args={"connect_timeout": 10}
    )
    config = _config()
    with engine.connect() as conn:
        config.attributes["connection"] = conn
        try:
            deed(config)
        except CommandError as error:
            raise ConfigError(f"migration: {error}") from error
        except ProgrammingError as error:
            origin = str(error.orig).split("\n", 1)[0]
            raise ConfigError(
                f"migration: {origin}; migrations need the owner login (OCD_OWNER_DATABASE_URL)"
            ) from error
        except OperationalError as error:
            # Somebody held a table for longer than the lock timeout, say: nothing has changed.
            raise redacted(error) from error
        except RuntimeError as error:
            # Revisions import nothing of ours, so their refusal is known by name only.
            if type(error).__name__ != "AdoptionRefused":
                raise
            raise ConfigError(str(error)) from error


def folder() -> Path:
    """Return where the migrations lie; raises ConfigError where they are not installed."""
    spec = importlib.util.find_spec("migrations")
    if spec is None or spec.origin is None:
        raise ConfigError("the migrations package is not installed beside ocd")
    return Path(spec.origin).parent


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder()).replace("%", "%%"))
    return config
