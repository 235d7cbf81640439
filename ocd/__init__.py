"""Operator Control Data: keep a support desk's data safe, small, fresh and trusted.

Rooms stand on floors (see docs/explanation/architecture.md): `core` and `datasets` carry the
`ledger`, the ledger carries the working rooms (`sources`, `lifecycle`, `quality`, `warehouse`),
and the entrances (`ocd.local`, the `tasks` package) open the doors to people and workers.
"""
