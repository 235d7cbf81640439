"""The one tuple of all datasets."""

from __future__ import annotations

from ocd.core.errors import UnknownName
from ocd.datasets.agents import AGENT_APPROVALS, AGENT_FEEDBACK, AGENT_QUERIES
from ocd.datasets.facts import Dataset
from ocd.datasets.ledger import ATTEMPT, LOG_LINE

DATASETS: tuple[Dataset, ...] = (
    AGENT_APPROVALS,
    AGENT_FEEDBACK,
    AGENT_QUERIES,
    ATTEMPT,
    LOG_LINE,
)


def dataset(name: str) -> Dataset:
    """Return the dataset of that name; raises UnknownName with the nearest one."""
    for candidate in DATASETS:
        if candidate.name == name:
            return candidate
    raise UnknownName("dataset", name, (d.name for d in DATASETS))
