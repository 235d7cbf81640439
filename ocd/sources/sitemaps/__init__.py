"""Sitemaps, read with suspicion: streamed, bounded, and only from where we may go.

For the nightly flow. Door: `snapshot.snapshot`. `guard` decides which addresses may be reached,
`fetch` gets bytes, `inflate` unpacks them, `reader` turns them into URLs that `location` judges,
`policy` compares, `snapshot` stores what changed in one transaction.
"""
