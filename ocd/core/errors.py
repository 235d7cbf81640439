"""Every error of ours, one class per *what the caller does next*.

    OcdError
    ├── SourceUnavailable     retry: the outside did not answer, or not in time
    ├── QuotaExhausted        wait: the outside answers again at `retry_after_s`
    ├── TooEarly              wait: nothing was asked yet, so waiting costs no attempt
    ├── StoreUnavailable      retry: the artifact store cannot take or give bytes (disk full, bucket away)
    ├── PolicyRefused         ask a human: a rule forbids it
    │   ├── BackupMissing     … because no trusted backup covers the data
    │   └── ApprovalNeeded    … because a limit is passed; `ocd approve RUN` lets it go on
    ├── ConfigError           fix the setting
    │   ├── UnknownName       … or the name: a job, parameter, dataset that does not exist
    │   └── SchemaMismatch    … or the schema: database and code are at different revisions
    ├── ContractBroken        the shape of an outside payload changed: look at it
    └── RunStopped            not a failure: the run ended between two batches
        ├── LeaseLost         another worker took the run over
        ├── RunCancelled      a person asked for it
        └── RunDrained        the worker is shutting down; the run goes back to the queue

Catch them all with `except OcdError`. Every error is picklable with its attributes.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, ClassVar


class OcdError(Exception):
    """Base of all errors of `ocd`; `message` is safe to show, log and store.

    Messages never carry a row's values or a secret: they may end in Flower and in the ledger.
    """

    #: Whether the same attempt may succeed later without a person doing anything.
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **attributes: Any) -> None:
        super().__init__(message)
        self.message = message
        self.__dict__.update(attributes)

    def __reduce__(self) -> tuple[Any, ...]:
        # Celery pickles errors; the default would call __init__ with the message alone and
        # degrade subclasses whose constructors take other arguments.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[OcdError], args: tuple[Any, ...], state: dict[str, Any]) -> OcdError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class SourceUnavailable(OcdError):
    """The outside did not answer; try again later.

    `is_server_error`: it answered that the fault is its own, which some count against a quota.
    """

    retryable = True
    is_server_error: bool

    def __init__(self, message: str, *, is_server_error: bool = False) -> None:
        super().__init__(message, is_server_error=is_server_error)


class QuotaExhausted(OcdError):
    """The outside refuses for now; it answers again after `retry_after_s` seconds.

    `retry_after_s=None`: not within this window, so the attempt is not repeated. `quota` is its name,
    where it is known.
    """

    retry_after_s: float | None
    quota: str | None

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, quota: str | None = None
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s, quota=quota)

    @property
    def retryable(self) -> bool:  # type: ignore[override]
        """True where the quota opens again soon enough to wait for."""
        return self.retry_after_s is not None


class TooEarly(OcdError):
    """Nothing was asked, because it is too early; the run goes on by itself after `retry_after_s` seconds."""

    retryable = True
    retry_after_s: float

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message, retry_after_s=retry_after_s)


class StoreUnavailable(OcdError):
    """The artifact store cannot take or give bytes; free space or mend the bucket, then retry."""

    retryable = True


class PolicyRefused(OcdError):
    """A rule forbids it; a person has to decide."""


class BackupMissing(PolicyRefused):
    """No verified backup covers `dataset`; run `ocd night`, or lifecycle.backup and .verify."""

    def __init__(self, dataset: str, *, needed_after: str) -> None:
        super().__init__(
            f"{dataset}: no verified backup newer than {needed_after}, so nothing is deleted; "
            "run `ocd run lifecycle.backup` and `ocd run lifecycle.verify` first",
            dataset=dataset,
            needed_after=needed_after,
        )


class ApprovalNeeded(PolicyRefused):
    """A limit is passed, and a person may say yes to that; carries the run that asks."""

    def __init__(self, run_id: int, question: str) -> None:
        super().__init__(
            f"{question}; `ocd approve {run_id} --reason …` lets it go on", run_id=run_id
        )


class ConfigError(OcdError):
    """A setting, an argument or the environment is wrong; the message says what to set."""


class UnknownName(ConfigError):
    """Something was called by a name that does not exist; carries the nearest right one."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there is: {', '.join(names)}"
        super().__init__(f"unknown {kind} {name!r}{hint}", kind=kind, name=name)


class SchemaMismatch(ConfigError):
    """Database and code stand at different migration revisions."""


class ContractBroken(OcdError):
    """An outside payload does not have the agreed shape; nothing was stored from it."""


class RunStopped(OcdError):
    """The run ended between two batches; what it had committed stays."""


class LeaseLost(RunStopped):
    """Another worker holds the run now; this one's open batch was rolled back."""


class RunCancelled(RunStopped):
    """A person cancelled the run."""


class RunDrained(RunStopped):
    """The worker shuts down; the run goes back to the queue and resumes where it stood."""
