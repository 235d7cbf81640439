"""The page of a check in a headless Chromium: it fits a phone, and its details open."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from ocd.quality.files import load
from ocd.quality.page import page
from tests.factories.clock import NOW
from tests.pages.test_flower_page import QUIET
from tests.quality.test_page import answer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.pages,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
]
#: Writes into the title what the browser made of the page.
PROBE = b"""<script>addEventListener("load", () => {
  const root = document.documentElement, quiet = getComputedStyle(document.body);
  document.title = JSON.stringify({wide: root.scrollWidth > root.clientWidth, back: quiet.backgroundColor,
    tables: document.querySelectorAll("tbody tr").length, asked: performance.getEntriesByType("resource").length});
})</script>"""


@pytest.fixture
def seen(tmp_path):
    """Return the title after the probe ran, for a window of this width."""
    rules = load()
    drawn = page(
        rules, [answer(one, failed=n % 3) for n, one in enumerate(rules)], now=NOW, run_id=7
    )
    # The page forbids every script; only the copy that is probed lets one in.
    drawn = drawn.replace(b"default-src 'none'", b"default-src 'none'; script-src 'unsafe-inline'")
    path = tmp_path / "page.html"
    path.write_bytes(drawn.replace(b"</body>", PROBE + b"</body>"))

    def look(width: int, *flags: str) -> str:
        done = subprocess.run(
            [
                CHROMIUM,
                *QUIET,
                f"--user-data-dir={tmp_path}/profile",
                f"--window-size={width},900",
                *flags,
                "--dump-dom",
                path.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout.partition("<title>")[2].partition("</title>")[0]

    return look


@pytest.mark.parametrize("width", [1280, 500], ids=["desk", "phone"])
def test_nothing_hangs_over_the_edge(seen, width):
    title = seen(width)

    assert '"wide":false' in title
    assert '"asked":0' in title
    assert f'"tables":{len({one.source.name for one in load()})}' in title


def test_it_is_dark_where_the_reader_wants_it(seen):
    assert "rgb(255, 255, 255)" in seen(1280)
    assert "rgb(20, 23, 27)" in seen(1280, "--blink-settings=preferredColorScheme=0")
