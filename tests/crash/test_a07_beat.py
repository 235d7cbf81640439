"""A7: two beats, or none for a while, neither double nor skip a window."""

from __future__ import annotations

import pytest

from tests.crash.processes import until

DONE = "select count(*) from ocd.run where job = 'chaos.tick' and state = 'done'"
#: When the newest full hour was that a beat, alive, would have ordered by now.
NEWEST = "date_trunc('hour', clock_timestamp() - interval '30 minutes')"


def gaps(stack) -> set[float]:
    """Return the distances between windows in seconds."""
    found = stack.rows(
        "select extract(epoch from window_start - lag(window_start) over (order by window_start)) from ocd.run"
    )
    return {float(row[0]) for row in found if row[0] is not None}


def most_effects_of_a_window(stack) -> int:
    return stack.value(
        "select max(n) from (select count(*) n from chaos_effect group by window_start) e"
    )


def test_a7_two_beats_tick_twice_and_run_once_and_a_dead_one_leaves_no_gap(stack):
    stack.worker(children=2, CHAOS_SCHEDULE="chaos.tick")
    beats = [stack.beat(name, schedule="chaos.tick") for name in ("first", "second")]
    for beat in beats:
        beat.wait_for("Sending due task chaos.tick", times=3)
    beats[0].kill()
    beats[1].wait_for("Sending due task chaos.tick", times=5)
    beats[1].kill()

    # Nobody orders these windows; the workers find them missing.
    alone = stack.value(DONE)
    until(lambda: stack.value(DONE) >= alone + 3, "windows without any beat are done too")

    assert gaps(stack) == {1.0}
    assert most_effects_of_a_window(stack) == 1
    triggers = {row[0] for row in stack.rows("select distinct trigger from ocd.run")}
    assert triggers == {"schedule", "catch_up"}


@pytest.mark.parametrize(
    ("job", "missed"),
    [("chaos.hourly_all", 5), ("chaos.hourly_last", 1), ("chaos.hourly_none", 0)],
)
def test_a7_windows_missed_by_beat_and_workers_are_made_up_for_as_the_job_says(stack, job, missed):
    """Beat was seen for the last time five windows ago."""
    stack.run_sql(
        f"insert into ocd.schedule (name, cadence, since_at) values (%s, 'every 60m, 0m later',"
        f" {NEWEST} - interval '4 hours 1 minute')",
        job,
    )

    stack.worker(CHAOS_SCHEDULE=job)
    stack.wait_all_done()

    windows = stack.rows(f"select window_end = {NEWEST} from ocd.run order by window_end desc")
    assert [row[0] for row in windows] == [True, *[False] * 4][:missed]
    assert stack.value("select count(*) from chaos_effect") == missed
