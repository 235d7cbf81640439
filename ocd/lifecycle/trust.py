"""Whether a dataset's backup may be leaned on: restored and compared lately, and still there byte for byte."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import Connection

from ocd.core.errors import PolicyRefused
from ocd.core.sqlfiles import statement
from ocd.core.store import Store
from ocd.datasets.facts import Dataset
from ocd.ledger.windows import Window
from ocd.lifecycle import policy

_VERIFICATION = statement(__file__, "newest_verification.sql")
_AGAIN = "run `ocd run lifecycle.backup` and `ocd run lifecycle.verify` first"


def check_verified(
    conn: Connection, dataset: Dataset, *, now: datetime, window: Window, trust: timedelta
) -> None:
    """Raise BackupMissing unless the newest verification found the table equal, and counts still."""
    row = conn.execute(
        _VERIFICATION, {"dataset": dataset.name, "window_start": window.start}
    ).first()
    policy.require_backup(
        dataset,
        verified_at=row.verified_at if row else None,
        is_same_night=bool(row and row.is_same_night),
        now=now,
        trust=trust,
    )


def check_copy(conn: Connection, dataset: Dataset, store: Store, *, window: Window) -> None:
    """Raise PolicyRefused unless the copy that was verified still lies in the store, byte for byte.

    Once per attempt: it is read from end to end.
    """
    row = conn.execute(
        _VERIFICATION, {"dataset": dataset.name, "window_start": window.start}
    ).first()
    conn.rollback()
    if row is None or row.sha256 is None or store.size(row.artifact_name) is None:
        raise PolicyRefused(
            f"{dataset.name}: its verified backup is gone, so nothing is deleted; {_AGAIN}"
        )
    digest = hashlib.sha256()
    for block in store.open_stored(row.artifact_name):
        digest.update(block)
    if digest.hexdigest() != row.sha256:
        raise PolicyRefused(
            f"{dataset.name}: its verified backup was changed since, so nothing is deleted; {_AGAIN}"
        )
