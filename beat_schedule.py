"""When things run, as data: names, crontabs in UTC, and after how long a stale tick vanishes.

A tick of a flow or job places the newest window that is *due*, once; at which hour it is due, and in whose
time zone, is said by its cadence. Every zone's hours begin on a quarter of an hour of UTC, so ticks come four
times an hour, and no clock change can skip or double a window.
"""

from celery.schedules import crontab, schedule

SCHEDULE = {
    "night": {
        "task": "flow.night",
        "schedule": crontab(minute="*/15"),
        "options": {"expires": 900},
    },
    # Mondays and Thursdays: said by its cadence.
    "audit": {
        "task": "database.audit",
        "schedule": crontab(minute="*/15"),
        "options": {"expires": 900},
    },
    "freshness": {
        "task": "database.freshness",
        "schedule": crontab(minute="*/15"),
        "options": {"expires": 900},
    },
    # Mondays and Thursdays as well.
    "schema snapshot": {
        "task": "database.snapshot_schema",
        "schedule": crontab(minute="*/15"),
        "options": {"expires": 900},
    },
    # Some hours behind the night, whatever became of it.
    "page": {
        "task": "lifecycle.page",
        "schedule": crontab(minute="*/15"),
        "options": {"expires": 900},
    },
    # On the first of each month.
    "restore drill": {
        "task": "lifecycle.drill",
        "schedule": crontab(minute="*/15"),
        "options": {"expires": 900},
    },
    "erasure clocks": {
        "task": "lifecycle.watch_erasures",
        "schedule": crontab(minute="*/15"),
        "options": {"expires": 900},
    },
    # Sundays.
    "reread": {
        "task": "lifecycle.reread",
        "schedule": crontab(minute="*/15"),
        "options": {"expires": 900},
    },
    # Sundays as well.
    "profile": {
        "task": "quality.profile",
        "schedule": crontab(minute="*/15"),
        "options": {"expires": 900},
    },
    "completeness": {
        "task": "quality.completeness",
        "schedule": crontab(minute="*/15"),
        "options": {"expires": 900},
    },
    # Two hours behind the night, when its key figures are there.
    "consistency": {
        "task": "quality.consistency",
        "schedule": crontab(minute="*/15"),
        "options": {"expires": 900},
    },
    # Its period is OCD_CANARY_S.
    "canary": {
        "task": "ledger.canary",
        "schedule": schedule(60),
        "options": {"expires": 900},
    },
}
