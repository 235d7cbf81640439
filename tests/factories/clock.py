"""The instant that tests call now."""

from datetime import UTC, datetime

NOW = datetime(2026, 11, 24, 2, tzinfo=UTC)
