"""`tasks.app` as it is, with the jobs and a schedule of the crash tests: `celery -A tests.crash.app …`.

Two variables of the environment differ by test: `CHAOS_VISIBILITY_S` (when Redis gives a message to
somebody else) and `CHAOS_SCHEDULE` (which jobs beat ticks; default none).
"""

from __future__ import annotations

import os

from celery.schedules import schedule

from tasks.app import app

app.conf.include = [*app.conf.include, "tests.crash.jobs"]
app.conf.broker_transport_options = app.conf.broker_transport_options | {
    "visibility_timeout": float(os.environ.get("CHAOS_VISIBILITY_S", "21600")),
    "unacked_restore_interval": 1,
}
#: Ticks come more often than windows end: whoever ticks first orders the window.
app.conf.beat_schedule = {"canary": app.conf.beat_schedule["canary"]} | {
    name: {"task": name, "schedule": schedule(1.0), "options": {"expires": 60}}
    for name in os.environ.get("CHAOS_SCHEDULE", "").split(",")
    if name
}
