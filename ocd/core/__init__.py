"""The ground floor: settings, errors, clock, logging, database engines, embedded servers, artifacts.

For every other room. Nothing here knows what a purge or a backup is. Doors: `settings.Settings`,
`db.engine_for`, `store.open_store`, `embedded.Postgres` and `embedded.Redis`.
"""
