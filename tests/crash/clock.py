"""Celery on a machine whose clock is wrong: `python -m tests.crash.clock SECONDS worker …`.

Moves what reads the time of day in this process, before Celery is imported. Monotonic clocks stay.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
from typing import Any

_real_time, _real_datetime = time.time, dt.datetime


class _AnyDatetime(type):
    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, _real_datetime)


def shift(seconds: float) -> None:
    """Let `time.time` and `datetime.now` be wrong by so many seconds, for whatever is imported later."""

    class Wrong(_real_datetime, metaclass=_AnyDatetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls.fromtimestamp(_real_time() + seconds, tz)

    # Beat pickles its schedule, and pickle looks classes up by name.
    Wrong.__module__, Wrong.__qualname__ = "datetime", "datetime"
    time.time = lambda: _real_time() + seconds
    dt.datetime = Wrong  # type: ignore[misc]


if __name__ == "__main__":
    shift(float(sys.argv[1]))
    sys.argv = ["celery", *sys.argv[2:]]
    from celery.__main__ import main

    main()
