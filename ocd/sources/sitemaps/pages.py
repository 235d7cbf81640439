"""Judge whether a page is really there: many shops say "not found" with status 200. Pure."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from html.parser import HTMLParser
from urllib.parse import urlsplit

#: Words that are compared; more say nothing new.
_MAX_WORDS = 5_000
#: Two pages that share so many of their words are the same page under two addresses.
_ALIKE = 0.95
_GONE = frozenset({404, 410})
#: Said in a title or heading. A bare number is not enough: parts are called 404, too.
_NOT_FOUND = re.compile(
    r"^\W*(error\W*)?404\W*$|\b(error|page) 404\b|\b404\W+(page|error|not found)|\bpage not found\b|^\W*not found\b"
    r"|\b(page|product|item) (does not exist|doesn.t exist|can ?not be found|can.t be found|is no longer available)",
    re.IGNORECASE,
)
#: Shopify's themes name the template of a page in its body's class.
_TEMPLATE_404 = re.compile(r"(^|\s)template-404(\s|$)")
_SILENT = frozenset({"script", "style", "noscript", "template", "svg"})


class Verdict(StrEnum):
    """`unreachable`: nobody knows, the site did not let us see."""

    FOUND = "found"
    GONE = "gone"
    SOFT_404 = "soft_404"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class Page:
    """What a page answered: where it came from in the end, its title and headings, its words."""

    url: str
    status: int
    headings: tuple[str, ...] = ()
    is_template_404: bool = False
    words: frozenset[str] = frozenset()


def judge(asked: str, page: Page, nowhere: Page | None) -> tuple[Verdict, str]:
    """Return a verdict and what it rests on; `nowhere` is how the site answers for an invented address."""
    if page.status in _GONE:
        return Verdict.GONE, f"answered {page.status}"
    if page.status != 200:
        return Verdict.UNREACHABLE, f"answered {page.status}"
    reason = _soft_404(asked, page, nowhere)
    return (Verdict.SOFT_404, reason) if reason else (Verdict.FOUND, "answered 200")


def _soft_404(asked: str, page: Page, nowhere: Page | None) -> str | None:
    if page.is_template_404 or any(_NOT_FOUND.search(one) for one in page.headings):
        return "says that it is not found"
    if _path(asked) != "/" and _path(page.url) == "/":
        return "leads to the home page"
    if nowhere is not None and nowhere.status == 200 and _is_alike(page, nowhere):
        return "looks like any address that does not exist"
    return None


def _path(url: str) -> str:
    return urlsplit(url).path.rstrip("/") or "/"


def _is_alike(one: Page, other: Page) -> bool:
    if one.headings != other.headings:
        return False
    everything = one.words | other.words
    return not everything or len(one.words & other.words) / len(everything) >= _ALIKE


def page_of(url: str, status: int, html: str) -> Page:
    """Return what counts of a page's HTML, however broken it is."""
    reader = _Reader()
    with suppress(
        AssertionError
    ):  # what the parser says to a mark it cannot take; the rest is left out
        reader.feed(html)
    words = " ".join(reader.text).lower().split()[:_MAX_WORDS]
    headings = tuple(" ".join(one.split()) for one in reader.headings if one.strip())
    return Page(url, status, headings, reader.is_template_404, frozenset(words))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.headings: list[str] = []
        self.text: list[str] = []
        self.is_template_404 = False
        self._silent = 0
        self._in_heading = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent += 1
        elif tag in {"title", "h1"} and not self._silent:
            self._in_heading = True
            self.headings.append("")
        elif tag == "body":
            classes = dict(attrs).get("class") or ""
            self.is_template_404 = bool(_TEMPLATE_404.search(classes))

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(self._silent - 1, 0)
        elif tag in {"title", "h1"}:
            self._in_heading = False

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        self.text.append(data)
        if self._in_heading:
            self.headings[-1] += data
