"""The drill finds what is wrong with itself; the fake site plays a series by hand, too."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys

import httpx
import pytest

from ocd.core.settings import PROJECT
from tests.factories.sitemaps import entry, index, shop_days, urlset
from tests.sources import sitemap_drill
from tests.sources.noise import noise

SHOP = "https://shop.example"
BROKEN = {
    "cut.xml": (urlset(entry(f"{SHOP}/a"))[:-9], "reject as incomplete"),
    "three.xml": (urlset(*(entry(f"{SHOP}/{slug}") for slug in "abc")), "accept 3 URLs"),
    "self.xml": (index(f"{SHOP}/self.xml"), "stop: cycle"),
}


def folder_of(path, files):
    path.mkdir()
    for name, (body, _) in files.items():
        (path / name).write_text(body)
    expected = {name: {"expect": expect} for name, (_, expect) in files.items()}
    (path / "EXPECT.json").write_text(json.dumps(expected))
    return path


def days_of(path, **options):
    path.mkdir()
    for day, body in enumerate(shop_days(SHOP, seed=5, **options)):
        (path / f"2026-11-{day + 1:02}.xml.gz").write_bytes(gzip.compress(body.encode()))
    return path


def test_broken_files_are_held_against_what_is_expected(tmp_path):
    assert sitemap_drill.broken(folder_of(tmp_path / "right", BROKEN)) == []
    wrong = {name: (body, "accept 2 URLs") for name, (body, _) in BROKEN.items()}
    assert len(sitemap_drill.broken(folder_of(tmp_path / "wrong", wrong))) == 3


def test_a_series_is_replayed_and_its_jump_held(tmp_path, capsys):
    assert sitemap_drill.series(days_of(tmp_path / "s", days=6, jumps=frozenset({3}))) == []
    assert "6 files, held: 2026-11-04" in capsys.readouterr().out


def test_a_jump_that_is_believed_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("ocd.sources.sitemaps.policy.doubt", lambda *_, **__: None)

    wrong = sitemap_drill.series(days_of(tmp_path / "s", days=4, jumps=frozenset({2})))

    assert any("was believed" in one for one in wrong)


@pytest.mark.parametrize("seed", [1, 2])
def test_noise_is_read_or_refused_in_no_time(seed):
    seeds = [body.encode() for body, _ in BROKEN.values()]

    count, wrong = noise(seeds, seconds=2, seed=seed)

    assert count > 100
    assert wrong == []


def test_the_fake_site_replays_a_folder_by_hand(tmp_path):
    folder = days_of(tmp_path / "s", days=3, jumps=frozenset())
    command = [sys.executable, "-m", "tests.fakes.site", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT) as process:
        base = process.stdout.readline().split(" at ")[1].split("/sitemap.xml")[0]
        first = httpx.get(f"{base}/sitemap.xml").content
        httpx.post(f"{base}/_day/2")
        third = httpx.get(f"{base}/sitemap.xml").content
        process.terminate()

    assert [first, third] == [(folder / f"2026-11-0{day}.xml.gz").read_bytes() for day in (1, 3)]
