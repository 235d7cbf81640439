"""Alembic migrations, written by hand, applied with `ocd db upgrade`."""
