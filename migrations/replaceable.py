"""Objects that are written whole and replaced whole: views, functions, policies, grants, comments.

Each version of an object is a file `sql/<kind>/<object>.<revision>.sql`: what makes it, a line
`-- down`, and what takes it away. A revision puts its version in the place of the one before; its
downgrade brings that one back from the file, so nothing has to be remembered in the database.
"""

from __future__ import annotations

import re
from pathlib import Path

from alembic import op

SQL = Path(__file__).parent / "sql"
_DOWN = "\n-- down\n"
#: In the same transaction, so no reader misses it.
_IS_BACK_AT_ONCE = "-- squawk-ignore ban-drop-view\n"
#: SQLAlchemy reads `:word` as a parameter; a cast (`::`) it leaves alone.
_PARAMETER = re.compile(r"(?<!:):(?=\w)")


def put(revision: str, *names: str) -> None:
    """Make these objects as they stand at `revision`, in this order; `name` is `<kind>/<object>`."""
    for name in names:
        before = _version_before(name, revision)
        if before:
            _run(_IS_BACK_AT_ONCE + _parts(name, before)[1])
        _run(_parts(name, revision)[0])


def take_back(revision: str, *names: str) -> None:
    """Bring these objects back to how they stood before `revision`, in the opposite order."""
    for name in reversed(names):
        _run(_parts(name, revision)[1])
        before = _version_before(name, revision)
        if before:
            _run(_parts(name, before)[0])


def versions(name: str) -> list[str]:
    """Return the revisions that wrote this object, oldest first."""
    folder, _, stem = name.rpartition("/")
    return sorted(path.suffixes[0][1:] for path in (SQL / folder).glob(f"{stem}.*.sql"))


def _version_before(name: str, revision: str) -> str | None:
    return max((one for one in versions(name) if one < revision), default=None)


def _parts(name: str, revision: str) -> tuple[str, str]:
    """Return what makes this version and what takes it away."""
    text = (SQL / f"{name}.{revision}.sql").read_text(encoding="utf-8")
    up, _, down = text.partition(_DOWN)
    return up, down


def _run(statements: str) -> None:
    if re.sub(r"--.*", "", statements).strip():
        op.execute(_PARAMETER.sub(r"\\:", statements.rstrip().removesuffix(";")))
