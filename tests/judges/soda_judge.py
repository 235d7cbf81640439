"""Runs inside Soda's own environment: the same twelve checks, in one contract.

Reads {"url": …, "schema": …} from stdin, writes {"found": {check: failing rows}, "import_s": …,
"check_s": …} to stdout. Nothing is sent anywhere: telemetry is off before Soda is imported.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

os.environ["SODA_CORE_TELEMETRY_ENABLED"] = "false"

CONTRACT = """
dataset: judge/{database}/{schema}/thing
columns:
  - name: id
    checks: [missing: {{}}]
  - name: name
    checks: [missing: {{}}]
  - name: email
    checks:
      - invalid: {{valid_format: {{name: address, regex: '^[a-z0-9]+@[a-z]+[.]test$'}}}}
      - duplicate: {{}}
  - name: score
    checks: [invalid: {{valid_min: 1, valid_max: 5}}]
  - name: status
    checks: [invalid: {{valid_values: [open, held, done]}}]
  - name: code
    checks: [invalid: {{valid_reference_data: {{dataset: judge/{database}/{schema}/parent, column: code}}}}]
  - name: body
    checks: [invalid: {{valid_min_length: 10, valid_max_length: 400}}]
  - name: is_safe
    checks: [missing: {{threshold: {{metric: percent, must_be_less_than: 10}}}}]
checks:
  - row_count: {{}}
  - freshness: {{column: made_at, threshold: {{unit: day, must_be_less_than: 30}}}}
  - failed_rows: {{expression: seen_at < made_at}}
"""
SOURCE = """
type: postgres
name: judge
connection: {{host: '{host}', port: {port}, database: '{database}', user: '{user}', password: '{password}'}}
"""


def main() -> None:
    asked = json.load(sys.stdin)
    started = time.process_time()
    from soda_core.contracts import verify_contract_locally

    import_s = time.process_time() - started
    logging.disable(logging.INFO)
    url = urlsplit(asked["url"])
    names = {
        "host": url.hostname or parse_qs(url.query)["host"][0],
        "port": url.port or 5432,
        "database": url.path[1:],
        "user": url.username,
        "password": url.password or "none",
        "schema": asked["schema"],
    }
    with tempfile.TemporaryDirectory() as folder:
        source, contract = Path(folder, "source.yml"), Path(folder, "contract.yml")
        source.write_text(SOURCE.format(**names), encoding="utf-8")
        contract.write_text(CONTRACT.format(**names), encoding="utf-8")
        started = time.perf_counter()
        done = verify_contract_locally(
            data_source_file_path=str(source), contract_file_path=str(contract)
        )
        check_s = time.perf_counter() - started
    if done.has_errors:
        sys.exit(str(done.get_errors_str()))
    (result,) = done.contract_verification_results
    found = {
        f"{one.check.column_name or ''}.{one.check.type}": one.diagnostic_metric_values
        for one in result.check_results
    }
    sys.stdout.write(
        json.dumps({"found": found, "import_s": import_s, "check_s": check_s}, default=str)
    )


main()
