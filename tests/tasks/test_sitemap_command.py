"""What people type to look at the shop's sitemap, on the demo's site."""

from __future__ import annotations


def test_readings_are_listed_compared_and_drawn(night, tmp_path):
    night("run", "sources.snapshot_sitemap", "--force")
    second, first = night.json("sitemap", "list")
    page = tmp_path / "sitemap.html"

    changed = night.json("sitemap", "diff", str(first["id"]), str(second["id"]))
    said = night("sitemap", "diff", str(first["id"]), str(second["id"])).stdout
    night("sitemap", "report", "--output", str(page))

    assert (first["url_count"], first["added_count"], second["added_count"]) == (60, None, 0)
    assert changed == {"added": [], "removed": [], "content_changed": [], "lastmod_only": []}
    assert said == "0 added, 0 removed, 0 content changed, 0 lastmod only\n"
    assert "60 URLs in 5 files" in page.read_text(encoding="utf-8")
    assert "first" not in night("sitemap", "list", "--limit", "1").stdout


def test_a_run_keeps_the_page_and_the_copies(night):
    runs = night.json("runs", "--job", "sources.snapshot_sitemap")
    run = next(one for one in runs if one["kind"] == "real")

    kinds = [one["kind"] for one in night.json("show", str(run["id"]))["artifacts"]]

    assert {"sitemap-diff", "sitemap-report"} <= set(kinds)


def test_a_dry_run_tells_and_keeps_nothing(night):
    before = night.json("sitemap", "list")

    (run,) = night.json("run", "sources.snapshot_sitemap", "--dry-run")

    assert run["evidence"]["rows"] == 60
    assert night.json("sitemap", "list") == before


def test_the_age_of_the_sitemap_is_shown(night):
    sources = {one["dataset"]: one["state"] for one in night.json("status")["sources"]}

    assert sources["sitemap_snapshots"] == "fresh"
    assert "sitemap_snapshots" in night("status").stdout


def test_a_reading_that_is_not_there_is_said(night):
    done = night("sitemap", "diff", "1", "99999", code=2)

    assert "there is no reading 99999" in done.stderr
    assert "no readings yet" in night("sitemap", "list", "--site", "other.example").stdout
