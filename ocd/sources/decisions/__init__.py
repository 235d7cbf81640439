"""Decisions and telemetry from files that agents and exports leave behind.

For engineers who bring a history along. Doors: `read.records` (pure: text in, rows out) and
`load.load` (rows in, each once). Three shapes are known, told apart by their keys.
"""
