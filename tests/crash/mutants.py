"""Take one mechanism out at a time: the test that stands for its promise has to fail.

`python -m tests.crash.mutants [--only A3]` changes a copy of the tree, never the tree itself, and prints
a table. A mutant that survives is a promise that nobody proves.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click

from ocd.core.settings import PROJECT

#: What a copy needs to run the tests.
TREE = ("ocd", "tasks", "tests", "migrations", "beat_schedule.py", "pyproject.toml")
#: A test that hangs on a mutant is ended; that counts as a failure of the test.
TIMEOUT_S = 170


@dataclass(frozen=True)
class Mutant:
    """A promise, the text that keeps it, what stands there instead, and the test that then must fail."""

    promise: str
    what: str
    file: str
    text: str
    instead: str
    test: str


MUTANTS = (
    Mutant(
        "A1", "a running run can be claimed before its lease ends",
        "ocd/ledger/sql/claim_run.sql", "lease_until < clock_timestamp() and attempt", "attempt",
        "crash/test_a01_once.py::test_a1_messages_sent_twice_and_redelivered_take_effect_once",
    ),
    Mutant(
        "A1", "the row is not locked while it is claimed",
        "ocd/ledger/sql/claim_run.sql", "  for update\n", "",
        "crash/test_a01_once.py::test_a1_two_workers_that_claim_at_the_same_moment_get_one_run",
    ),
    Mutant(
        "A2", "the checkpoint is not kept with the batch",
        "ocd/ledger/sql/advance_run.sql", "coalesce(cast(:checkpoint as jsonb), checkpoint)", "checkpoint",
        "crash/test_a02_killed.py::test_a2_the_next_worker_continues_at_the_exact_batch[group]",
    ),
    Mutant(
        "A2", "the run is advanced in a transaction of its own, before the batch's",
        "ocd/ledger/run.py", "            self._advance(conn, batch)\n        self._show(batch)\n",
        "            with self.engine.begin() as other:\n                self._advance(other, batch)\n            time.sleep(0.05)\n        self._show(batch)\n",
        "crash/test_a02_killed.py::test_a2_killed_at_twenty_random_points_loses_and_doubles_nothing",
    ),
    Mutant(
        "A3", "a batch commits whoever holds the fence",
        "ocd/ledger/sql/advance_run.sql", " and fence = :fence", "",
        "crash/test_a03_zombie.py::test_a3_a_zombie_neither_writes_its_batch_nor_ends_the_run",
    ),
    Mutant(
        "A3", "an ending is recorded whoever holds the fence",
        "ocd/ledger/sql/finish_run.sql", "where id = :id and fence = :fence and state = 'running'", "where id = :id and state = 'running'",
        "crash/test_a03_zombie.py::test_a3_a_zombie_neither_writes_its_batch_nor_ends_the_run",
    ),
    Mutant(
        "A4", "only runs that showed progress are reaped",
        "ocd/ledger/sql/sweep_expired.sql", "and lease_until < clock_timestamp()", "and lease_until < clock_timestamp() and progress_done is not null",
        "crash/test_a04_before_the_first_batch.py::test_a4_a_run_that_died_before_its_first_batch_is_reaped",
    ),
    Mutant(
        "A5", "attempts are not counted",
        "ocd/ledger/sql/claim_run.sql", "attempt = r.attempt + 1", "attempt = 1",
        "crash/test_a05_poison.py::test_a5_a_job_that_kills_its_process_is_dead_after_three_starts_and_can_be_replayed",
    ),
    Mutant(
        "A5", "nothing is ever dead",
        "ocd/ledger/sql/sweep_expired.sql", "attempt >= :max_attempts as is_dead", "attempt > 1000 + :max_attempts as is_dead",
        "crash/test_a05_poison.py::test_a5_a_run_whose_whole_worker_dies_three_times_is_dead",
    ),
    Mutant(
        "A5", "a death opens no incident",
        "ocd/ledger/reconcile.py", "            incidents.open_for_run(conn, run_id)\n", "            pass\n",
        "crash/test_a05_poison.py::test_a5_a_run_whose_whole_worker_dies_three_times_is_dead",
    ),
    Mutant(
        "A6", "sent messages are never forgotten",
        "ocd/ledger/reconcile.py", "        if is_broker_new:\n", "        if is_broker_new and not conn:\n",
        "crash/test_a06_redis_lost.py::test_a6_queued_runs_run_once_after_redis_lost_their_messages[wipe_while_connected]",
    ),
    Mutant(
        "A6", "queued runs are not sent again",
        "ocd/ledger/sql/take_unsent.sql", "where state = 'queued' and publish_at", "where state = 'queued' and false and publish_at",
        "crash/test_a06_redis_lost.py::test_a6_runs_ordered_while_no_worker_lived_survive_a_wiped_redis",
    ),
    Mutant(
        "A6",
        "who looks whether Redis is new makes it known",
        "tasks/ledger.py",
        '_mark("seen", nx=True) not in {None, b"known"}',
        'bool(app.connection_for_write().default_channel.client.set(BROKER_MARK, "known", nx=True))',
        "crash/test_a06_redis_lost.py::test_a6_a_wipe_is_made_up_for_though_another_worker_swept_a_moment_ago",
    ),
    Mutant(
        "A7", "a window begins when it is asked for",
        "ocd/ledger/windows.py", "start = _EPOCH + (instant - _EPOCH) // self.length * self.length", "start = instant",
        "crash/test_a07_beat.py::test_a7_two_beats_tick_twice_and_run_once_and_a_dead_one_leaves_no_gap",
    ),
    Mutant(
        "A7", "catching up knows no limit",
        "ocd/ledger/policy.py", "len(found) < catch_up.limit", "len(found) < 100",
        "crash/test_a07_beat.py::test_a7_windows_missed_by_beat_and_workers_are_made_up_for_as_the_job_says[chaos.hourly_last-1]",
    ),
    Mutant(
        "A7", "nobody catches up",
        "tasks/ledger.py", "    catch_up()\n", "",
        "crash/test_a07_beat.py::test_a7_windows_missed_by_beat_and_workers_are_made_up_for_as_the_job_says[chaos.hourly_all-5]",
    ),
    Mutant(
        "A8", "a worker that shall stop is not noticed",
        "tasks/attempt.py", "is_draining=draining.is_set", "is_draining=lambda: False",
        "crash/test_a08_drain.py::test_a8_a_worker_told_to_stop_ends_its_batch_and_gives_the_run_back",
    ),
    Mutant(
        "A8", "a drained attempt counts",
        "ocd/ledger/sql/finish_run.sql", "attempt - case when :outcome in ('drained', 'deferred') then 1 else 0 end", "attempt",
        "crash/test_a08_drain.py::test_a8_a_worker_told_to_stop_ends_its_batch_and_gives_the_run_back",
    ),
    Mutant(
        "A9", "the verified copy is not looked at",
        "ocd/lifecycle/trust.py", "    if digest.hexdigest() != row.sha256:\n", "    if not digest:\n",
        "crash/test_a09_no_purge_without_backup.py::test_a9_a_purge_is_refused_where_the_backup_cannot_be_trusted[corrupted]",
    ),
    Mutant(
        "A9", "a verification is trusted for ever",
        "ocd/lifecycle/policy.py", "now - verified_at <= trust", "verified_at is not None",
        "crash/test_a09_no_purge_without_backup.py::test_a9_a_purge_is_refused_where_the_backup_cannot_be_trusted[too_old]",
    ),
    Mutant(
        "A10", "a commit without an answer counts as lost",
        "tasks/attempt.py", "            ended = claims.recorded(conn, run, ending)\n", "            ended = None\n",
        "crash/test_a10_truth.py::test_a10_an_ending_is_recorded_once_whatever_the_server_did_meanwhile[committed_unanswered]",
    ),
    Mutant(
        "A10", "an ending does not wait for the database",
        "tasks/attempt.py", "END_PATIENCE_S = 120.0", "END_PATIENCE_S = -1.0",
        "crash/test_a10_truth.py::test_a10_an_ending_is_recorded_once_whatever_the_server_did_meanwhile[lost]",
    ),
    Mutant(
        "A10", "a batch commits before the run is advanced",
        "ocd/ledger/run.py", "            self._advance(conn, batch)\n        self._show(batch)\n",
        "        with conn.begin():\n            self._advance(conn, batch)\n        self._show(batch)\n",
        "crash/test_a10_truth.py::test_a10_a_batch_whose_commit_was_never_answered_is_not_done_again",
    ),
    Mutant(
        "A11", "a foreign error is quoted",
        "tasks/attempt.py", 'f"unexpected {name}; see', 'f"unexpected {name}: {error}; see',
        "crash/test_a11_secrets.py::test_a11_no_planted_canary_is_told_anywhere",
    ),
    Mutant(
        "A11", "arguments travel in messages",
        "tasks/publish.py", 'kwargs={"label": message.label},',
        'kwargs={"label": str(history.run(runtime.engine().connect(), message.run_id)["params"])},',
        "crash/test_a11_secrets.py::test_a11_no_planted_canary_is_told_anywhere",
    ),
    Mutant(
        "A11", "an argument that does not fit is quoted",
        "tasks/arguments.py", 'f"--{self.name}: expected {EXPECTED[self.type]}"', 'f"--{self.name}: {value}"',
        "crash/test_a11_secrets.py::test_a11_no_planted_canary_is_told_anywhere",
    ),
    Mutant(
        "A12",
        "a channel does not tell that its connection is gone",
        "tasks/broker.py",
        "if self.connection is None or self.connection.client is None:",
        "if False:",
        "crash/test_a12_redis_away.py::test_a12_an_acknowledgement_on_a_closed_connection_fails_as_a_lost_one",
    ),
    Mutant(
        "A12", "a job fails when its progress cannot be shown",
        "tasks/attempt.py", "except (OperationalError, RedisError, OSError) as error:\n        log.warning(\"progress_not_shown\"",
        "except ZeroDivisionError as error:\n        log.warning(\"progress_not_shown\"",
        "crash/test_a12_redis_away.py::test_a12_a_running_job_goes_on_while_redis_is_away",
    ),
    Mutant(
        "A12", "a worker gives up on a Redis that is away",
        "tasks/app.py", '"broker_connection_retry_on_startup": True,', '"broker_connection_retry": False,',
        "crash/test_a12_redis_away.py::test_a12_the_canary_is_heard_again_soon_after_redis_is_back",
    ),
    Mutant(
        "L1", "an archive is not read back",
        "ocd/lifecycle/archive.py", "                _compare_with_storage(self.store, copied)\n", "",
        "lifecycle/test_purge.py::test_rows_stay_when_the_archive_does_not_read_back",
    ),
    Mutant(
        "L2", "holds do not stand in the deletion",
        "ocd/lifecycle/rows.py", 'sql.SQL("(({}) and {})").format(expired, holds.free(dataset))', 'sql.SQL("({})").format(expired)',
        "lifecycle/test_holds.py::test_rows_of_a_held_conversation_stay_and_the_others_go",
    ),
    Mutant(
        "L2", "a hold keeps no backup from rotation",
        "ocd/lifecycle/rotate.py", "is_held=bool(is_held)", "is_held=False",
        "lifecycle/test_rotate.py::test_while_a_hold_is_open_no_backup_goes",
    ),
    Mutant(
        "L3", "limits ask nobody",
        "ocd/lifecycle/purge.py", "    approvals.require(conn, run, fingerprint=found.sha256, asks=asks, question=words)\n", "",
        "lifecycle/test_purge_limits.py::test_a_purge_that_takes_too_much_asks_and_goes_on_once_approved",
    ),
    Mutant(
        "L3", "a policy that changes meanwhile does not matter",
        "ocd/lifecycle/purge.py", "        if found != self.plan:\n", "        if not found:\n",
        "lifecycle/test_purge_limits.py::test_a_policy_row_that_comes_while_a_purge_runs_stops_it",
    ),
    Mutant(
        "L3", "the switch for purging is not looked at",
        "tasks/lifecycle.py", "    if not door.settings.purge_enabled:\n", "    if not door.settings:\n",
        "lifecycle/test_purge_commands.py::test_a_purge_that_is_switched_off_is_refused",
    ),
    Mutant(
        "L4", "a purge sees what row security lets it see",
        "ocd/lifecycle/rows.py", "select set_config('row_security', 'off', true), set_config('lock_timeout'", "select set_config('lock_timeout'",
        "lifecycle/test_purge_limits.py::test_a_login_under_row_security_is_refused_and_deletes_nothing",
    ),
    Mutant(
        "L4", "a backup copies what row security lets it see",
        "ocd/lifecycle/snapshots.py", '{"row_security": "off", "statement_timeout"', '{"statement_timeout"',
        "lifecycle/test_backup.py::test_a_role_under_row_security_fails_instead_of_copying_nothing",
    ),
    Mutant(
        "L5", "a manifest's signature is not checked",
        "ocd/lifecycle/manifest.py", "    keys.check(_canonical(body), signature, name)\n", "",
        "lifecycle/test_manifest.py::test_a_number_changed_without_the_key_is_refused",
    ),
    Mutant(
        "L6", "a backup counts before it was restored",
        "ocd/lifecycle/sql/newest_verification.sql", " and v.level >= 3", "",
        "lifecycle/test_purge.py::test_refuses_a_backup_that_was_read_but_never_restored",
    ),
    Mutant(
        "L6", "a newer proof that failed does not matter",
        "ocd/lifecycle/sql/newest_verification.sql", "and not w.is_equal)", "and w.is_equal is null)",
        "lifecycle/test_purge_limits.py::test_a_newer_failed_verification_ends_the_trust_in_older_ones",
    ),
    Mutant(
        "L6", "the content that came back is not compared",
        "ocd/lifecycle/verify.py", "loaded.content.digest != part.content_hash", "not part.content_hash",
        "lifecycle/test_verify.py::test_what_comes_back_must_be_all_that_was_there[content]",
    ),
    Mutant(
        "L6", "what came back beside the rows is not compared",
        "ocd/lifecycle/verify.py", "        if before.get((kind, name)) != after.get((kind, name)):\n", "        if not before:\n",
        "lifecycle/test_verify.py::test_what_comes_back_must_be_all_that_was_there[policy]",
    ),
    Mutant(
        "L7", "a backup brings erased people back",
        "ocd/lifecycle/restore.py", "return sieve(blocks) if sieve else blocks", "return blocks",
        "lifecycle/test_erase.py::test_a_backup_of_before_never_brings_the_person_back",
    ),
    Mutant(
        "L7", "rows brought back one by one bring erased people back",
        "ocd/lifecycle/returning.py", "in sieve(blocks) if sieve else blocks:", "in blocks:",
        "lifecycle/test_erase.py::test_a_backup_of_before_never_brings_the_person_back",
    ),
    Mutant(
        "L7", "an archive without a person is not read back",
        "ocd/lifecycle/rewriting.py", "    _read_back(portion, made, subjects, store)\n", "",
        "lifecycle/test_erase.py::test_an_archive_that_does_not_read_back_stays",
    ),
    Mutant(
        "L8", "the newest verified backup is rotated away",
        "ocd/lifecycle/rotation_policy.py", "if one.is_verified][:1]", "if one.is_verified][:0]",
        "lifecycle/test_rotate.py::test_the_newest_verified_backup_outlives_its_expiry",
    ),
    Mutant(
        "L8", "what a purge leans on is rotated away",
        "ocd/lifecycle/rotate.py", "leaned_on=leaned_on", "leaned_on=()",
        "lifecycle/test_rotate.py::test_a_backup_that_a_purge_leans_on_stays_as_long_as_it_may",
    ),
    Mutant(
        "L9", "a backup is rebuilt over rows",
        "ocd/lifecycle/loading.py", "    _require_empty(url, manifest)\n    migrate", "    migrate",
        "lifecycle/test_verify.py::test_nothing_is_rebuilt_over_rows",
    ),
)  # fmt: skip


def apply(mutant: Mutant, root: Path) -> None:
    """Change the tree below `root`."""
    path = root / mutant.file
    path.write_text(path.read_text().replace(mutant.text, mutant.instead))


def killed_by(mutant: Mutant) -> str | None:
    """Return what the test says when it fails on a copy of the tree with this mutant; None when it passes."""
    with tempfile.TemporaryDirectory(prefix="ocd-mutant-") as folder:
        root = Path(folder)
        root.chmod(0o711)
        for name in TREE:
            source = PROJECT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, root / name)
        apply(mutant, root)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-p", "no:randomly", "-p", "no:cacheprovider",
             f"--timeout={TIMEOUT_S}", "--tb=short", f"tests/{mutant.test}"],
            cwd=root, env=dict(os.environ) | {"PYTHONPATH": str(root)}, capture_output=True, text=True,
        )  # fmt: skip
        # 1 is a failed test; anything else says nothing about the promise.
        assert done.returncode in {0, 1}, done.stdout + done.stderr
        failures = [line for line in done.stdout.splitlines() if line.startswith("E ")]
        return (failures or ["ended"])[0][1:].strip() if done.returncode else None


def main(arguments: list[str]) -> int:
    """Try the mutants; 1 where one survives."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.mutants", description=__doc__)
    parser.add_argument("--only", help="A promise, such as A3.")
    given = parser.parse_args(arguments)
    survived = 0
    for mutant in MUTANTS:
        if given.only in {None, mutant.promise}:
            started = time.monotonic()
            said = killed_by(mutant)
            survived += said is None
            word = "SURVIVED" if said is None else "killed"
            took_s = time.monotonic() - started
            click.echo(f"{mutant.promise:4} {word:9} {took_s:5.1f} s  {mutant.what}")
            click.echo(f"{'':24} {(said or '')[:110]}")
    click.echo(f"{survived} survived")
    return int(survived > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
