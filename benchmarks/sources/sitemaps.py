"""The sitemap reader beside ultimate-sitemap-parser, on one file of 50,000 URLs with images.

`python -m benchmarks.sources --only sitemaps --peer /tmp/peer/bin/python`; the peer has an environment of its own:
`python3 -m venv /tmp/peer && /tmp/peer/bin/pip install --require-hashes -r requirements-sitemap-judge.lock`.
Each reading is a process of its own; the two take turns. Seconds are of the processor, whoever else wants it.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

from benchmarks.figures import Figure

URLS = 50_000
#: What is promised: so many times the peer's URLs per second, and no more memory than this, bombs included.
MIN_RATIO = 3.0
MAX_GROWTH_MB = 15.0
ROUNDS = 3

_OURS = """
import resource, sys, time
from datetime import datetime, UTC
from ocd.core.errors import ContractBroken
from ocd.sources.sitemaps import reader

def rss_mb():
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6

def chunks(path):
    global peak
    with open(path, 'rb') as file:
        while block := file.read(65536):
            yield block
            peak = max(peak, rss_mb())

def read(path):
    count = 0
    def keep(_):
        nonlocal count
        count += 1
    try:
        reader.read(chunks(path), keep, hosts=frozenset({'shop.example'}), now=datetime(2026, 11, 26, tzinfo=UTC))
    except ContractBroken:
        count = 0
    return count

peak = 0.0
read(sys.argv[2])
before = rss_mb()
started = time.process_time()
count = read(sys.argv[1])
took = time.process_time() - started
peak = max(peak, rss_mb())
"""
_THEIRS = """
import logging, resource, sys, time
from usp.tree import sitemap_from_str
logging.disable(logging.CRITICAL)
text = open(sys.argv[1], encoding='utf-8').read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
started = time.process_time()
count = sum(1 for _ in sitemap_from_str(text).all_pages())
took = time.process_time() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
"""
_TELL = "import json; print(json.dumps({'urls': count, 'took_s': took, 'grown_mb': peak - before}))"


def write_sitemap(path: Path, urls: int) -> None:
    """Write a shop's sitemap with so many products, an image each."""
    with path.open("w", encoding="utf-8") as file:
        file.write(
            '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
            ' xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">\n'
        )
        for number in range(urls):
            file.write(
                f"<url><loc>https://shop.example/products/an-fitting-straight-{number}</loc>"
                "<lastmod>2026-11-25T08:00:00-05:00</lastmod><changefreq>daily</changefreq>"
                f"<image:image><image:loc>https://cdn.shop.example/files/fitting-{number}.jpg?v=17</image:loc>"
                f"<image:title>AN fitting {number}</image:title><image:caption>Straight, number {number}"
                "</image:caption></image:image></url>\n"
            )
        file.write("</urlset>\n")


def write_bomb(path: Path, *, mib: int) -> None:
    """Write blanks of so many MiB, packed, behind the beginning of a sitemap."""
    packer = zlib.compressobj(wbits=31)
    with path.open("wb") as file:
        file.write(packer.compress(b"<urlset><url><loc>https://shop.example/a</loc></url>"))
        for _ in range(mib):
            file.write(packer.compress(b" " * 2**20))
        file.write(packer.flush())


def measured(python: str, code: str, *files: Path) -> dict[str, float]:
    """Run one reading in a process of its own; returns urls, took_s and grown_mb."""
    done = subprocess.run(
        [python, "-c", code + _TELL, *map(str, files)], capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(scale: float, peer: str | None) -> list[Figure]:
    """Measure in turns, so that both see the same machine; without a peer nothing is compared."""
    urls = max(int(URLS * scale), 100)
    with tempfile.TemporaryDirectory() as folder:
        sitemap, small, bomb = (Path(folder) / name for name in ("all.xml", "small.xml", "b.gz"))
        write_sitemap(sitemap, urls)
        write_sitemap(small, 100)
        write_bomb(bomb, mib=200)
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(measured(sys.executable, _OURS, sitemap, small))
            if peer:
                theirs.append(measured(peer, _THEIRS, sitemap))
        bombed = measured(sys.executable, _OURS, bomb, small)
    speed = _speed(ours)
    figures = [
        Figure("sitemap read", speed, "URLs/s"),
        Figure("  memory it grew by", _growth(ours), "MB", gate=MAX_GROWTH_MB),
        Figure("  by a bomb of 200 MiB", bombed["grown_mb"], "MB", gate=MAX_GROWTH_MB),
    ]
    if peer:
        figures += [
            Figure("ultimate-sitemap-parser", _speed(theirs), "URLs/s"),
            Figure("  memory it grew by", _growth(theirs), "MB"),
            Figure("ocd / peer", speed / _speed(theirs), "x", gate=MIN_RATIO, is_floor=True),
        ]
    return figures


def _speed(found: list[dict[str, float]]) -> float:
    return statistics.median(one["urls"] / one["took_s"] for one in found)


def _growth(found: list[dict[str, float]]) -> float:
    return max(one["grown_mb"] for one in found)
