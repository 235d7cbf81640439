"""Imports every module that declares jobs, so that `JOBS` is complete; Celery includes this one."""

from __future__ import annotations

from tasks import database, ledger, lifecycle, quality, restores, sources, warehouse
from tasks.job import JOBS

MODULES = (database, ledger, lifecycle, quality, restores, sources, warehouse)

__all__ = ["JOBS", "MODULES"]
