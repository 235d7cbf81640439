"""Fresh data from outside, within its quotas, never silently wrong.

For the nightly flow and tiles. Doors: `ga4.refresh.refresh`, `sitemaps.snapshot.snapshot`. Each
source fetches first and then replaces or adds in one fenced transaction; nothing is half-written.
"""
