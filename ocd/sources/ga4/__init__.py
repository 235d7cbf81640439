"""Google Analytics 4: reports of a property, day by day, within its quotas.

Reports are data (`reports.py`). Three backends play the same `client.GaClient`: one request, one
answer in the Data API's own JSON (`recorded.py`, `rest.py`, `mcp.py`). Everything else is shared:
paging that survives shifting rows (`pages.py`), the quota ledger in PostgreSQL (`metered.py`), and
`refresh.refresh`, which replaces (property, report, day) partitions one at a time. `compare.compare`
holds two backends against each other. Recorded data is used only where a setting says so.
"""
