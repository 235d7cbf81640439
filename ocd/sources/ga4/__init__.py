"""Google Analytics 4 through the Data API's runReport.

Reports are data (`reports.py`); backends play the same `client.GaClient`; `refresh.refresh` replaces
(property, report, day) partitions. Recorded data is used only where a setting says so.
"""
