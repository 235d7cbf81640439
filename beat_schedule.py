"""When things run, as data: names, crontabs in UTC, and after how long a stale tick vanishes."""

from celery.schedules import crontab

SCHEDULE = {
    "night": {
        "task": "flow.night",
        "schedule": crontab(hour=2, minute=0),
        "options": {"expires": 20 * 3600},
    },
    "reconcile": {
        "task": "ledger.reconcile",
        "schedule": crontab(),
        "options": {"expires": 50},
    },
}
