"""The system over HTTP: does it live, is it ready, how do its jobs stand.

For monitoring and for whoever runs the containers. Needs the extra `api`. Flow of one scrape:
`app.create_app` → `/metrics` → `metrics.LedgerCollector` → `ocd.ledger.observe` with the reader's
login. Nothing here writes, and nothing here knows the task queue: an entrance passes in what to watch.
"""
