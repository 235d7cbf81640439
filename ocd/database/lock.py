"""Write `migrations/schema.lock` anew: `python -m ocd.database.lock`.

The lines of a fresh database at the newest revision, so that a change of the schema is read in a
review, and every live database can be compared.
"""

from __future__ import annotations

import sys

from sqlalchemy import NullPool, create_engine

from ocd.core import migrate
from ocd.core.cluster import scratch_postgres
from ocd.core.db import sqlalchemy_url
from ocd.database import catalog


def main() -> int:
    """Write the file; says how many lines it holds."""
    with scratch_postgres() as url:
        migrate.upgrade(url)
        engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
        with engine.connect() as conn:
            found = catalog.lines(conn)
        engine.dispose()
    catalog.lock_file().write_text("\n".join(found) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(found)} lines in {catalog.lock_file().name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
