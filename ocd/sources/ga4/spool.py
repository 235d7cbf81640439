"""A partition between Google and the database: in a file, so that memory stays flat and no transaction waits."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from json.encoder import encode_basestring
from typing import IO, Any

from ocd.sources.ga4.answers import Page, Quality, Row
from ocd.sources.ga4.reports import GaReport

#: So much of the file is read at once.
BLOCK_BYTES = 256 * 1024


class Spool:
    """Rows of one partition as lines of COPY, with what is true of them all. Close it.

    A line: row number, dimensions and metrics as JSON, without the partition's id.
    """

    def __init__(self, report: GaReport) -> None:
        self._report = report
        self._line = _line_of(report)
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self.restart()

    def restart(self) -> None:
        """Forget everything."""
        self._file.seek(0)
        self._file.truncate()
        self._sha256 = hashlib.sha256()
        self.row_count = self.tokens = 0
        self.quality = Quality()
        self.time_zone: str | None = None
        self.currency: str | None = None
        self._totals = [Decimal()] * len(self._report.metrics)

    def add(self, page: Page) -> None:
        """Append a page."""
        block = self._block(page.rows)
        self._file.write(block)
        self._sha256.update(block)
        self.row_count += len(page.rows)
        self.quality |= page.quality
        self.time_zone = self.time_zone or page.time_zone
        self.currency = self.currency or page.currency
        self.tokens = max(self.tokens, _consumed(page))
        self._totals = [a + b for a, b in zip(self._totals, page.totals, strict=True)]

    @property
    def sha256(self) -> str:
        """Hash of all rows."""
        return self._sha256.hexdigest()

    @property
    def totals(self) -> dict[str, str]:
        """Sum of each metric, as text."""
        sums = (format(total, "f") for total in self._totals)
        return dict(zip(self._report.metrics, sums, strict=True))

    def lines(self, partition_id: int) -> Iterator[bytes]:
        """Yield the rows of that partition as COPY takes them, some at a time."""
        self._file.seek(0)
        prefix = b"%d\t" % partition_id
        while lines := self._file.readlines(BLOCK_BYTES):
            yield prefix + prefix.join(lines)

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def _block(self, rows: Sequence[Row]) -> bytes:
        text = self._text(rows)
        if "\\u0000" in text:
            # PostgreSQL's jsonb holds every character but this one.
            text = self._text(
                [tuple(value.replace("\0", "\ufffd") for value in row) for row in rows]
            )
        # COPY takes a backslash as the begin of an escape. What is no UTF-8 (half a surrogate pair) is none.
        return text.replace("\\", "\\\\").encode("utf-8", "replace")

    def _text(self, rows: Iterable[Row]) -> str:
        line, first = self._line, self.row_count + 1
        return "".join(
            line % (number, *map(encode_basestring, row)) for number, row in enumerate(rows, first)
        )


def _line_of(report: GaReport) -> str:
    """Return the pattern of a line: `%d TAB {"name":%s,…} TAB {"name":%s,…}`."""
    objects = (
        "{" + ",".join(encode_basestring(name).replace("%", "%%") + ":%s" for name in names) + "}"
        for names in (report.dimensions, report.metrics)
    )
    return "\t".join(("%d", *objects)) + "\n"


def _consumed(page: Page) -> int:
    """Return the tokens that the page's request cost; 0 where Google did not say."""
    said: Any = page.quotas.get("tokensPerHour")
    found = said.get("consumed", 0) if isinstance(said, dict) else 0
    return found if isinstance(found, int) else 0
