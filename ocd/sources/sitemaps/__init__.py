"""Sitemaps, read with suspicion: streamed, bounded, and only from where we may go.

`guard` decides which addresses may be reached, `fetch` gets bytes, `reader` turns them into URLs,
`policy` compares, `snapshot.snapshot` stores what changed.
"""
