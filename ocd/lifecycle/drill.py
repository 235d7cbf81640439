"""Rehearse the disaster: bring the newest backup up on an empty server and see that it can be lived in."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import Connection, NullPool, create_engine

from ocd.core import migrate
from ocd.core.db import sqlalchemy_url
from ocd.core.errors import ContractBroken
from ocd.core.signing import SigningKeys
from ocd.core.store import Store
from ocd.ledger.run import Run
from ocd.lifecycle import portions, restore, tombstones
from ocd.lifecycle.restore import Scratch

log = logging.getLogger(__name__)

#: A question to the restored database: yields what is wrong, in words. Other rooms have them; the entrance
#: passes them in.
Examination = Callable[[Connection], Iterable[str]]
#: Faults that a report names.
SHOWN = 20


@dataclass(frozen=True)
class DrillReport:
    """What was restored, how long it took, and what was asked of it."""

    version: ClassVar[int] = 1
    backup: str
    rows_by_dataset: dict[str, int]
    restored_s: float
    examined: tuple[str, ...]
    examined_s: float
    erased: int

    @property
    def rows(self) -> int:
        """Rows restored."""
        return sum(self.rows_by_dataset.values())

    @property
    def summary(self) -> str:
        """One line for people."""
        return (
            f"{self.rows:,} rows of {len(self.rows_by_dataset)} tables up again in {self.restored_s:.1f} s, "
            f"{len(self.examined)} examinations passed"
        )


def drill(
    conn: Connection,
    *,
    run: Run,
    store: Store,
    keys: SigningKeys,
    key: str | None,
    scratch: Scratch,
    examinations: dict[str, Examination],
) -> DrillReport:
    """Restore the newest proved backup into an empty server, bring its schema to now, and examine it there.

    Raises ContractBroken where a count or an examination does not hold.
    """
    folder = portions.find_folder(conn, store, "newest")
    backup = portions.open_backup(conn, store, folder, keys)
    erased = tombstones.standing(conn, store, key)
    with scratch() as url:
        started = time.monotonic()
        returned = restore.rebuild(url, backup, erased, store, run)
        migrate.upgrade(url)
        restored_s = time.monotonic() - started
        faults = [
            f"{one.dataset}: {one.inserted + one.erased:,} rows came back of {part.rows:,}"
            for one, part in zip(returned, backup.parts, strict=True)
            if one.inserted + one.erased != part.rows
        ]
        faults += _examined(url, examinations, run)
        examined_s = time.monotonic() - started - restored_s
    if faults:
        more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise ContractBroken(f"{folder} does not stand: {'; '.join(faults[:SHOWN])}{more}")
    report = DrillReport(
        folder,
        {one.dataset: one.inserted for one in returned},
        round(restored_s, 3),
        tuple(examinations),
        round(examined_s, 3),
        sum(one.erased for one in returned),
    )
    log.info("drilled", extra={"rows": report.rows, "restored_s": report.restored_s})
    return report


def _examined(url: str, examinations: dict[str, Examination], run: Run) -> list[str]:
    faults = []
    engine = create_engine(
        sqlalchemy_url(url), poolclass=NullPool, connect_args={"options": "-c timezone=UTC"}
    )
    with engine.connect() as conn:
        for number, (name, examine) in enumerate(examinations.items(), 1):
            run.progress(number, len(examinations), name)
            faults += [f"{name}: {fault}" for fault in examine(conn)]
            conn.rollback()
    engine.dispose()
    return faults
