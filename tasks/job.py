"""`Job`: a typed deed with its own ledger row, to call here or to queue for a worker."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine

from ocd.core.errors import ConfigError, UnknownName
from ocd.core.settings import Settings
from ocd.core.store import Store, open_store
from ocd.ledger.artifacts import Keeper
from ocd.ledger.enqueue import Order
from ocd.ledger.evidence import Report
from ocd.ledger.policy import LAST, CatchUp
from ocd.ledger.run import Run
from ocd.ledger.windows import Cadence, Daily, Window
from tasks import runtime
from tasks.app import app
from tasks.arguments import Parameter, bind, parameters_of, takes_dry_run

P = ParamSpec("P")
R = TypeVar("R", bound=Report)

#: Only who promised a time can be late: a window that a person or a backfill orders has no deadline.
PROMISED = frozenset({"schedule", "catch_up"})

#: Every job by name, filled by the decorator when a module of jobs is imported.
JOBS: dict[str, Job[Any, Any]] = {}


def store_of(settings: Settings) -> Store:
    """Open the artifact store that the settings name."""
    return open_store(
        settings.artifact_location(),
        recipients=settings.age_recipients,
        identity_file=settings.age_identity_file,
    )


@dataclass
class Door:
    """A job's plumbing, opened on first use: `run`, `conn`, `now`, `store`, `keeper`, `settings`."""

    run: Run
    settings: Settings
    engine: Engine
    _conn: Connection | None = field(default=None, repr=False)

    @property
    def conn(self) -> Connection:
        """A connection of the worker login, closed with the door."""
        if self._conn is None:
            self._conn = self.engine.connect()
        return self._conn

    @property
    def now(self) -> datetime:
        """The database's clock when the run was claimed."""
        return self.run.now

    @cached_property
    def store(self) -> Store:
        """The artifact store."""
        return store_of(self.settings)

    @cached_property
    def keeper(self) -> Keeper:
        """Keeps artifacts of this run."""
        return Keeper(
            self.store, self.run.id, self.now, timedelta(days=self.settings.artifact_days)
        )

    def close(self) -> None:
        """Close the connection; an open transaction rolls back."""
        if self._conn is not None:
            self._conn.close()


@dataclass(frozen=True)
class Facts:
    """What is true of a job besides its body."""

    queue: str
    effect: str  # read_only, idempotent or fenced
    cadence: Cadence
    subject: tuple[str, ...] = ()
    deadline: timedelta = timedelta(hours=8)
    can_backfill: bool = False
    overrides: tuple[
        str, ...
    ] = ()  # arguments that a person's order may carry, a plain message not
    is_on_demand: bool = False  # neither beat nor a flow orders it
    catch_up: CatchUp = LAST
    expand: Mapping[str, Callable[[], tuple[str, ...]]] = field(default_factory=dict)
    gated_by: str | None = None  # the argument that names the dataset whose closed gate refuses it


class Job(Generic[P, R]):
    """Call it to run here and now; `enqueue` it for a worker. Both leave a row in the ledger."""

    def __init__(self, name: str, body: Callable[Concatenate[Door, P], R], facts: Facts) -> None:
        if facts.catch_up.limit > 1 and not facts.can_backfill:
            raise ConfigError(
                f"{name}: its past windows cannot run, so it can catch up on the last only"
            )
        self.name = name
        self.body = body
        self.facts = facts
        self.summary = (inspect.getdoc(body) or name).split("\n", 1)[0]
        self.parameters: tuple[Parameter, ...] = parameters_of(body)
        self.has_dry_run = takes_dry_run(body)
        # A closure, not a method: Celery cannot bind a task to a bound method.
        self.celery: Any = app.task(name=name, bind=True, max_retries=2, ignore_result=True)(
            _entrance(self)
        )

    @property
    def cadence(self) -> Cadence:
        """The job's cadence, days being those of the shop."""
        return self.facts.cadence.in_zone(runtime.configured().zone())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run in this process with its own ledger row; raises what the body raises."""
        from tasks.attempt import run_here

        return run_here(self, self._named(args, kwargs))  # type: ignore[return-value]

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> int:
        """Queue the current window for a worker; returns the run's id."""
        from tasks.publish import place_now

        return place_now(self, self._named(args, kwargs))

    def order(
        self,
        params: Mapping[str, Any],
        window: Window,
        *,
        is_dry: bool = False,
        trigger: str = "manual",
        requested_by: str | None = None,
        flow: str | None = None,
        backfill: tuple[int, int] | None = None,
    ) -> Order:
        """Return the order for a run; raises ConfigError for arguments that do not fit.

        `backfill`: the backfill that lets it go, and its place there.
        """
        bound = bind(self.name, self.parameters, params)
        if is_dry and not self.has_dry_run:
            raise UnknownName(
                f"parameter of {self.name}:",
                "dry_run",
                [item.name for item in self.parameters] or ["(none)"],
            )
        return Order(
            job=self.name,
            window=window,
            queue=self.facts.queue,
            params=bound,
            subject={name: bound[name] for name in self.facts.subject},
            is_dry=is_dry,
            trigger=trigger,
            requested_by=requested_by,
            flow=flow,
            deadline=self.facts.deadline if trigger in PROMISED else None,
            backfill_id=backfill[0] if backfill else None,
            backfill_position=backfill[1] if backfill else None,
        )

    def spread(self, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return one set of arguments per run: `all` of an expandable argument becomes each value."""
        found = [bind(self.name, self.parameters, params)]
        for name, values in self.facts.expand.items():
            found = [
                one | {name: value}
                for one in found
                for value in (values() if one[name] == "all" else (one[name],))
            ]
        return found

    def _named(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        bound = inspect.signature(self.body).bind_partial(None, *args, **kwargs)
        return dict(list(bound.arguments.items())[1:])


def _entrance(job: Job[Any, Any]) -> Callable[..., str]:
    """Make the function that Celery calls: with a run's id, or by hand with arguments."""

    def attempt(celery_task: Any, run_id: int | None = None, label: str = "", **params: Any) -> str:
        from tasks.attempt import attempt_message

        return attempt_message(job, celery_task, run_id, params)

    attempt.__doc__ = job.summary
    return attempt


def job(
    name: str, *, queue: str, effect: str, cadence: Cadence | None = None, **facts: Any
) -> Callable[[Callable[Concatenate[Door, P], R]], Job[P, R]]:
    """Declare a job; see `Facts` for what can be said of it."""

    def declare(body: Callable[Concatenate[Door, P], R]) -> Job[P, R]:
        made = Job(
            name, body, Facts(queue=queue, effect=effect, cadence=cadence or Daily(), **facts)
        )
        JOBS[name] = made
        return made

    return declare


def job_named(name: str) -> Job[Any, Any]:
    """Return the job of that name; raises UnknownName with the nearest one."""
    if name not in JOBS:
        raise UnknownName("job", name, JOBS)
    return JOBS[name]
