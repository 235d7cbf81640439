"""Look for a sitemap that crashes, hangs or fills the reader, guided by coverage; atheris ends with its report.

atheris has an environment of its own, beside the clone's:

    python3 -m venv /tmp/fuzz && /tmp/fuzz/bin/pip install --require-hashes -r requirements-fuzz-judge.lock
    PYTHONPATH=.venv/lib/python3.11/site-packages /tmp/fuzz/bin/python -m tests.sources.sitemap_fuzz FOLDER
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ocd.sources.sitemaps", "tests.sources"]):
    from tests.sources.noise import read


def main() -> None:
    """Fuzz for a while."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of sitemaps to begin with")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as corpus:
        for number, path in enumerate(options.folder.rglob("*.xml*")):
            (Path(corpus) / str(number)).write_bytes(path.read_bytes()[:20_000])
        limits = [f"-max_total_time={options.seconds}", f"-seed={options.seed}", "-timeout=5"]
        atheris.Setup([sys.argv[0], *limits, "-rss_limit_mb=512", "-max_len=20000", corpus], read)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
