"""Keep data for as long as it is allowed, and never delete what cannot be shown and brought back.

For the nightly flow and engineers. Doors: `backup.backup`, `verify.verify`, `purge.plan`, `purge.purge`,
`rotate.rotate`, `reread.reread`, `page.write`; `manifest.read`, `manifest.open_part` and `loading` for who restores.
Flow: backup (one snapshot, content hashes) → verify (restored and compared) → `policy.plan_purge` → limits, approved
where they are passed → batches of `COPY (DELETE … RETURNING …)` into an `archive` that is read back. `rows` says which
rows a plan is about, `trust` whether a backup may be leaned on.
Back: `restore.restore`, `restore.unpurge`, rehearsed by `drill.drill`; for good: `erase.erase`, whose tombstones every
restore heeds.
"""
