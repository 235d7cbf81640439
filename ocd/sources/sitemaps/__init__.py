"""Sitemaps, read with suspicion: streamed, bounded, and only from where we may go.

For the nightly flow. Doors: `snapshot.snapshot`, and `probe.probe` to try the settings. `guard` decides which
addresses may be reached, `fetch` visits with manners, `robots` says what the site asks, `inflate` unpacks,
`reader` turns bytes into URLs that `location` judges, `site` reads all files of one shop and `bodies` copies
them. `policy` compares and doubts, `sample` fetches a few pages that `pages` judges, `snapshot` stores what
changed in one transaction, `history` and `report` look back.
"""
