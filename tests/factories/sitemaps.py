"""Sitemaps of an invented shop, as text."""

from __future__ import annotations

import random
from collections.abc import Iterator

NS = (
    'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
    ' xmlns:image="http://www.google.com/schemas/sitemap-image/1.1"'
)
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def entry(loc, lastmod=None, image=None, title=None):
    """One `url` element."""
    parts = [f"<loc>{loc}</loc>"]
    if lastmod:
        parts.append(f"<lastmod>{lastmod}</lastmod>")
    if image:
        named = f"<image:title>{title}</image:title>" if title else ""
        parts.append(f"<image:image><image:loc>{image}</image:loc>{named}</image:image>")
    return f"<url>{''.join(parts)}</url>"


def urlset(*entries):
    """A sitemap of entries."""
    return f"{HEAD}<urlset {NS}>{''.join(entries)}</urlset>"


def index(*locs):
    """A sitemap index."""
    children = "".join(f"<sitemap><loc>{loc}</loc></sitemap>" for loc in locs)
    return f"{HEAD}<sitemapindex {NS}>{children}</sitemapindex>"


def many(base, count, *, lastmod=None):
    """A sitemap of so many products."""
    return urlset(*(entry(f"{base}/products/p{number}", lastmod) for number in range(count)))


def shop_days(base: str, *, days: int, seed: int, jumps: frozenset[int]) -> Iterator[str]:
    """Yield a shop's sitemap day by day: products come and go one at a time, lastmod is new every day.

    On a day of `jumps` the file holds two thirds more, which are gone the day after.
    """
    dice = random.Random(seed)
    products = list(range(540))
    following = len(products)
    for day in range(days):
        if dice.random() < 0.2:
            products.remove(dice.choice(products))
        for _ in range(dice.choice((0, 0, 0, 1, 2))):
            products.append(following)
            following += 1
        extra = range(9_000, 9_000 + len(products) * 2 // 3) if day in jumps else ()
        stamp = f"2026-{8 + day // 28:02}-{1 + day % 28:02}T15:28:34+03:00"
        yield urlset(
            *(
                entry(f"{base}/products/part-{number}", stamp, f"{base}/img/{number}.jpg")
                for number in (*products, *extra)
            )
        )
