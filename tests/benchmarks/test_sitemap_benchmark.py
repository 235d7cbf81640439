"""The sitemap benchmark works, at a size at which its figures mean nothing."""

from __future__ import annotations

from benchmarks.sources import sitemaps


def test_it_measures_and_holds_the_memory_without_a_peer(monkeypatch):
    monkeypatch.setattr(sitemaps, "ROUNDS", 1)

    read, grown, bombed = sitemaps.measure(0.02, None)

    assert read.measured > 0
    assert grown.ok
    assert bombed.ok
