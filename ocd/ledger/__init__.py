"""What happened: the durable record of every run, and the proof that it took effect once.

For the task layer (claims and finishes runs), the working rooms (commit their batches under a run's
fence, keep artifacts) and people at a shell (`ocd runs`, `ocd show`). Flow of one run: `enqueue.add`
→ publish its id → `claims.claim` → `Run.batch` … → `claims.finish` readies what waited for it.
`reconcile.sweep` repairs what the broker or a dead worker left behind.
"""
