"""Which statements are slow, why, and whether an index would help: measured, not guessed.

For an engineer, `ocd db slow`. One flow: `source` says what was slow (the server's statistics, its
log, or our own notes) → `find.slowest` groups it by text without values → `candidates` reads an
index off the plan → `trial` builds it in a scratch database and measures before and after.
Nothing here changes the live database, and no value of a row stands in a report.
"""
