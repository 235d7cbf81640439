"""A headless Chromium that looks at pages, and axe, the judge of their accessibility."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from ocd.core.settings import PROJECT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=8000",
]
#: Where `.ci/run pages` puts the judge.
AXE = next(
    iter(PROJECT.glob(".venv-pages/lib/python*/site-packages/axe_playwright_python/axe.min.js")),
    None,
)
SCHEMES = {"light": [], "dark": ["--blink-settings=preferredColorScheme=0"]}
#: Desktop and phone, CSS pixels; Chromium makes no window narrower than 500, so the phone is a frame in one.
WIDTHS = (1280, 360)
JUDGE = """
<script>{axe}</script>
<script>
axe.run(document, {{runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}}).then(found => {{
  const told = found.violations.map(one => ({{id: one.id, where: one.nodes.map(node => node.html.slice(0, 120))}}));
  const wide = document.documentElement.scrollWidth > document.documentElement.clientWidth;
  const said = document.createElement("pre");
  said.id = "axe";
  said.textContent = JSON.stringify({{violations: told, passes: found.passes.length, is_too_wide: wide}});
  document.body.append(said);
}});
</script>
"""


@pytest.fixture
def dom(tmp_path: Path) -> Callable[..., str]:
    """Return a page's DOM after its scripts ran: dom(url, *flags)."""

    def look(url: str, *flags: str) -> str:
        done = subprocess.run(
            [
                CHROMIUM,
                *QUIET,
                f"--user-data-dir={tmp_path / 'chromium'}",
                *flags,
                "--dump-dom",
                url,
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    return look


@pytest.fixture
def judged(dom: Callable[..., str], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Have axe look at a page: judged(page, width=…, scheme=…) -> violations, passes, is_too_wide."""

    def judge(page: bytes, *, width: int = WIDTHS[0], scheme: str = "light") -> dict[str, Any]:
        assert AXE is not None
        # The page forbids scripts, as it should; the judge is one.
        text = re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", page.decode())
        file = tmp_path / "judged.html"
        script = JUDGE.format(axe=AXE.read_text(encoding="utf-8"))
        file.write_text(text.replace("</body>", f"{script}</body>"), encoding="utf-8")
        frame = tmp_path / "frame.html"
        frame.write_text(
            f"<iframe src='judged.html' style='border: 0; width: {width}px; height: 4000px'></iframe>"
            "<script>window.onload = () => { const wait = setInterval(() => {"
            " const said = document.querySelector('iframe').contentDocument.getElementById('axe');"
            " if (said) { clearInterval(wait); document.body.append(said); } }, 50); };</script>"
        )
        shown = dom(f"file://{frame}", "--allow-file-access-from-files", *SCHEMES[scheme])
        (said,) = re.findall(r"<pre id=\"axe\">(.*?)</pre>", shown, re.DOTALL)
        found: dict[str, Any] = json.loads(unescape(said))
        return found

    return judge
