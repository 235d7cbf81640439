"""Decide what a cleansing may do by itself, and what of a value may be shown. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ocd.core.errors import PolicyRefused

#: More rows, or a greater share of the table, are for a person to approve.
MOST_ROWS, MOST_PERCENT = 10_000, 20
#: A table of fewer rows has no meaningful share.
LEAST_ROWS = 100
SHOWN_CHARS = 40


@dataclass(frozen=True)
class CleansingPlan:
    """What exactly would be mended: in how many rows of how many, by which fixes, up to which key.

    `fixes` maps each fix to its version, `counts` to the rows that it mends; `fingerprint` is of all
    keys with their old and new values.
    """

    dataset: str
    fixes: Mapping[str, str]
    counts: Mapping[str, int]
    rows: int
    of_rows: int
    last_key: int
    fingerprint: str

    @property
    def hash(self) -> str:
        """Name of exactly this plan: sixteen hex digits."""
        said = [
            self.dataset,
            sorted(self.fixes.items()),
            self.rows,
            self.last_key,
            self.fingerprint,
        ]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def require_same(planned: str, found: CleansingPlan) -> None:
    """Raise PolicyRefused unless what is found now is what was planned."""
    if found.hash != planned:
        raise PolicyRefused(
            f"{found.dataset}: rows changed since plan {planned} was made, so nothing was mended; "
            f"`ocd quality cleanse plan {found.dataset}` shows what there is now"
        )


def asks(plan: CleansingPlan) -> dict[str, int]:
    """Return the limits that a plan passes, each with how much; nothing for one that may go on."""
    found = {}
    if plan.rows > MOST_ROWS:
        found["rows"] = plan.rows
    percent = -(-100 * plan.rows // plan.of_rows) if plan.of_rows else 0
    if plan.of_rows >= LEAST_ROWS and percent > MOST_PERCENT:
        found["percent"] = percent
    return found


def question(plan: CleansingPlan) -> str:
    """Say what is asked where a plan passes a limit."""
    return (
        f"{plan.dataset}: plan {plan.hash} mends {plan.rows:,} of {plan.of_rows:,} rows; "
        f"more than {MOST_ROWS:,} or {MOST_PERCENT} % need somebody's consent"
    )


def masked(value: str | None) -> str | None:
    """Return the shape of a value: its letters as x and X, its digits as 9, what is between them as it is."""
    if value is None:
        return None
    shape = re.sub(r"[^\W\d_]", lambda one: "X" if one.group().isupper() else "x", value)
    return shown(re.sub(r"\d", "9", shape))


def shown(value: str | None) -> str | None:
    """Return the value as it is shown: cut, with its spaces and breaks to be seen."""
    if value is None:
        return None
    cut = value if len(value) <= SHOWN_CHARS else value[: SHOWN_CHARS - 1] + "…"
    return cut.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r").replace(" ", "·")
