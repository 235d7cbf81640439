"""Detectors of wrongly written values with what mends them: pairs of SQL expressions over `{v}`. Pure.

A detector is true of a faulty value and of no other, NULL included; a mended value has no fault left,
so that mending twice is mending once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Fixer:
    """`detects` is a condition, `mends` a value of the column's type; `{v}` stands for the value."""

    name: str
    detects: str
    mends: str

    def mended(self, value: str) -> str:
        """Return the expression that mends the value of an expression, or leaves it."""
        detects, mends = (one.replace("{v}", value) for one in (self.detects, self.mends))
        return f"(case when {detects} then {mends} else {value} end)"

    @property
    def version(self) -> str:
        """Fingerprint of what it does: twelve hex digits."""
        return hashlib.sha256(f"{self.detects}|{self.mends}".encode()).hexdigest()[:12]


_EDGES = r"E' \t\r\n'"
#: Spaces around a value; one of nothing else stays, because what is missing is another fault.
TRIM = Fixer(
    "trim",
    f"{{v}} <> btrim({{v}}, {_EDGES}) and btrim({{v}}, {_EDGES}) <> ''",
    f"btrim({{v}}, {_EDGES})",
)
#: Runs of spaces inside a name.
SPACES = Fixer("spaces", r"{v} ~ '\s{2,}|[\t\r\n]'", r"regexp_replace({v}, '\s+', ' ', 'g')")
#: An address in capitals; what is no address stays.
EMAIL = Fixer(
    "email",
    r"{v} ~ '^[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$' and {v} <> lower({v})",
    "lower({v})",
)
UPPER = Fixer("upper", "{v} ~ '^[A-Za-z_]+$' and {v} <> upper({v})", "upper({v})")

_DIGITS = r"regexp_replace({v}, '\D', '', 'g')"
_PHONE = (
    rf"(case when {{v}} !~ '^[+0-9][0-9().\s/-]*$' and {{v}} !~ '^\([0-9().\s/-]*$' then null"
    rf" when {{v}} ~ '^\+' and length({_DIGITS}) between 8 and 15 then '+' || {_DIGITS}"
    rf" when {_DIGITS} ~ '^1[2-9][0-9]{{9}}$' then '+' || {_DIGITS}"
    rf" when {_DIGITS} ~ '^[2-9][0-9]{{9}}$' then '+1' || {_DIGITS} end)"
)
#: A phone number as E.164; without a country it is a North American one, and what is none stays.
PHONE = Fixer("phone", f"{{v}} <> {_PHONE}", _PHONE)


def _part(pattern: str, group: int) -> str:
    return f"(regexp_match({{v}}, '{pattern}'))[{group}]::int"


_YEAR_FIRST = r"^(\d{4})[/.](\d{1,2})[/.](\d{1,2})$"
_DAY_FIRST = r"^(\d{1,2})\.(\d{1,2})\.(\d{4})$"
_SLASHED = r"^(\d{1,2})/(\d{1,2})/(\d{4})$"
_FIRST, _SECOND = _part(_SLASHED, 1), _part(_SLASHED, 2)
_DATE = f"""(
  select lpad(y::text, 4, '0') || '-' || lpad(m::text, 2, '0') || '-' || lpad(d::text, 2, '0')
  from (select
    coalesce({_part(_YEAR_FIRST, 1)}, {_part(_DAY_FIRST, 3)}, {_part(_SLASHED, 3)}) as y,
    coalesce({_part(_YEAR_FIRST, 2)}, {_part(_DAY_FIRST, 2)},
      case when {_SECOND} > 12 or {_FIRST} = {_SECOND} then {_FIRST} when {_FIRST} > 12 then {_SECOND} end) as m,
    coalesce({_part(_YEAR_FIRST, 3)}, {_part(_DAY_FIRST, 1)},
      case when {_SECOND} > 12 or {_FIRST} = {_SECOND} then {_SECOND} when {_FIRST} > 12 then {_FIRST} end) as d
  ) part
  where y > 0 and m between 1 and 12 and d between 1 and case
    when m in (4, 6, 9, 11) then 30 when m <> 2 then 31
    when y % 4 = 0 and (y % 100 <> 0 or y % 400 = 0) then 29 else 28 end
)"""  # noqa: S608 - made of constants
#: A day as ISO 8601. Between slashes month and day may be either: where both could be, it stays.
DATE = Fixer("date", f"{_DATE} is not null", _DATE)
#: A list that names something twice; the first of each stays where it is.
DISTINCT = Fixer(
    "distinct",
    "cardinality({v}) > (select count(*) from (select distinct one from unnest({v}) one) each)",
    "array(select one from unnest({v}) with ordinality u(one, n) group by one order by min(n))",
)


def vocabulary(words: Mapping[str, str]) -> Fixer:
    """Return the fixer of words that mean another, whatever their case and the spaces around them."""
    known = {word.lower(): word for word in words.values()} | dict(words)
    cases = " ".join(f"when '{said}' then '{meant}'" for said, meant in sorted(known.items()))
    meant = f"(case lower(btrim({{v}}, {_EDGES})) {cases} end)"
    return Fixer("vocabulary", f"{{v}} <> {meant}", meant)


def at_key(key: str, fixer: Fixer) -> Fixer:
    """Return the fixer of a text under a key of a document."""
    inner = f"({{v}} ->> '{key}')"
    detects, mends = (one.replace("{v}", inner) for one in (fixer.detects, fixer.mends))
    return Fixer(
        fixer.name,
        f"jsonb_typeof({{v}} -> '{key}') = 'string' and ({detects})",
        f"jsonb_set({{v}}, '{{{key}}}', to_jsonb({mends}))",
    )
