"""Statements kept one per file, `sql/<verb>_<what>.sql`, beside the module that runs them."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import TextClause, text


def statement(module_file: str, name: str) -> TextClause:
    """Return the statement of `sql/<name>` beside `module_file` (pass `__file__`)."""
    return text((Path(module_file).parent / "sql" / name).read_text(encoding="utf-8"))


def plain(module_file: str, name: str) -> bytes:
    """Return such a statement for the driver itself, with its `%(name)s` parameters."""
    return (Path(module_file).parent / "sql" / name).read_bytes()
