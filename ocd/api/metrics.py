"""What Prometheus scrapes: the ledger and the queues as gauges, read once per scrape.

Labels are names of jobs, queues, states and kinds, never of runs: their number does not grow with time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from ocd.ledger.incidents import SEVERITY
from ocd.ledger.observe import BAD, OPEN, JobState, Snapshot, Watched

Lengths = Mapping[str, int] | None


class LedgerCollector(Collector):
    """Looks at ledger and broker when it is asked; either may be away."""

    def __init__(
        self,
        build: Mapping[str, str],
        watched: Iterable[Watched],
        look: Callable[[], Snapshot | None],
        queue_lengths: Callable[[], Lengths],
    ) -> None:
        """`look` and `queue_lengths` return None where nobody answers."""
        self._build = dict(build)
        self._watched = tuple(watched)
        self._look = look
        self._queue_lengths = queue_lengths

    def collect(self) -> Iterator[Metric]:
        """Yield every family of metrics; of a side that is away only that it is."""
        yield InfoMetricFamily("ocd_build", "Version of the code and its schema.", self._build)
        lengths = self._queue_lengths()
        yield _gauge("ocd_broker_up", "Whether Redis answers.", float(lengths is not None))
        yield _by("queue", "ocd_queue_length", "Messages that wait in Redis.", lengths or {})
        snapshot = self._look()
        yield _gauge(
            "ocd_ledger_up", "Whether the ledger could be read.", float(snapshot is not None)
        )
        if snapshot is not None:
            yield from _jobs(snapshot)
            yield from _promises(snapshot, self._watched)
            yield from _queues(snapshot, lengths or {})
            yield from _leases(snapshot)
            yield from _wrongs(snapshot)


def _jobs(snapshot: Snapshot) -> Iterator[Metric]:
    runs = GaugeMetricFamily(
        "ocd_runs",
        "Real runs that are open or ended badly; late ones are in another state as well.",
        labels=("job", "state"),
    )
    for job in snapshot.jobs.values():
        for state, count in _states(job).items():
            runs.add_metric((job.job, state), count)
    yield runs
    yield _by(
        "job",
        "ocd_job_last_good_window_age_seconds",
        "Seconds since the end of the newest window whose every run is done.",
        {
            job.job: snapshot.age_s(job.good_until)
            for job in snapshot.jobs.values()
            if job.good_until is not None
        },
    )


def _states(job: JobState) -> dict[str, int]:
    return {state.value: job.count(state) for state in (*OPEN, *BAD)} | {"late": job.late}


def _promises(snapshot: Snapshot, watched: tuple[Watched, ...]) -> Iterator[Metric]:
    """Yield what the schedule promises; the newest window is to be good `deadline` after its end."""
    on_schedule = [one for one in watched if one.entry is not None]
    since = {one.job: snapshot.scheduled_since.get(one.entry or "") for one in on_schedule}
    yield _by(
        "job",
        "ocd_job_deadline_seconds",
        "Seconds after a window's end by which it is to be good.",
        {one.job: one.deadline.total_seconds() for one in on_schedule},
    )
    last = {one.job: one.cadence.last_closed(snapshot.at) for one in on_schedule}
    yield _by(
        "job",
        "ocd_job_window_seconds",
        "Length of the newest window that is over.",
        {job: (window.end - window.start).total_seconds() for job, window in last.items()},
    )
    yield _by(
        "job",
        "ocd_job_next_due_timestamp_seconds",
        "When a run is due next.",
        {one.job: one.cadence.next_due(snapshot.at).timestamp() for one in on_schedule},
    )
    yield _by(
        "job",
        "ocd_job_scheduled_seconds",
        "Seconds since the job is scheduled as it is now.",
        {job: snapshot.age_s(instant) for job, instant in since.items() if instant is not None},
    )
    yield _by(
        "job",
        "ocd_job_paused",
        "Whether nothing orders the job for now.",
        {one.job: snapshot.is_paused(one) for one in watched},
    )


def _queues(snapshot: Snapshot, lengths: Mapping[str, int]) -> Iterator[Metric]:
    found = {one.queue: one for one in snapshot.queues}
    empty = dict.fromkeys(lengths, 0)
    yield _by(
        "queue",
        "ocd_queue_runs",
        "Queued runs in the ledger, dry ones too.",
        empty | {queue: one.queued for queue, one in found.items()},
    )
    yield _by(
        "queue",
        "ocd_queue_oldest_seconds",
        "Seconds that the oldest queued run has waited; 0 where none waits.",
        empty
        | {queue: snapshot.age_s(one.oldest_at) for queue, one in found.items() if one.oldest_at},
    )


def _leases(snapshot: Snapshot) -> Iterator[Metric]:
    ages = (snapshot.age_s(one.renewed_at) for one in snapshot.leases)
    yield _gauge(
        "ocd_lease_age_seconds",
        "Seconds since the lease of a running run was renewed, the longest.",
        max(ages, default=0),
    )
    overdue = (snapshot.age_s(one.until) for one in snapshot.leases)
    yield _gauge(
        "ocd_lease_overdue_seconds",
        "Seconds since the lease of a run that still counts as running ended, the longest.",
        max(overdue, default=0),
    )


def _wrongs(snapshot: Snapshot) -> Iterator[Metric]:
    yield _by(
        "name",
        "ocd_heartbeat_age_seconds",
        "Seconds since a housekeeper was heard.",
        {name: snapshot.age_s(instant) for name, instant in snapshot.heard_at.items()},
    )
    incidents = GaugeMetricFamily(
        "ocd_incidents_open", "Open incidents.", labels=("kind", "severity")
    )
    # Of every kind, so that an alert can tell none from not measured.
    for labels, count in (dict.fromkeys(SEVERITY.items(), 0) | dict(snapshot.incidents)).items():
        incidents.add_metric(labels, count)
    yield incidents
    yield _gauge("ocd_backfills_open", "Backfills under way.", snapshot.open_backfills)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _by(label: str, name: str, text: str, values: Mapping[str, float]) -> Metric:
    found = GaugeMetricFamily(name, text, labels=(label,))
    for key, value in values.items():
        found.add_metric((key,), value)
    return found
