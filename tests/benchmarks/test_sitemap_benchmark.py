"""The sitemap benchmark works, at a size at which its figures mean nothing."""

from __future__ import annotations

from benchmarks.sources import sitemaps


def test_it_measures_and_holds_the_memory_without_a_peer():
    said = []

    is_kept = sitemaps.run(None, urls=1000, rounds=1, say=said.append)

    assert is_kept
    assert "1,000 URLs" in said[0]
    assert "URLs/s" in said[1]
    assert "bomb" in said[2]
