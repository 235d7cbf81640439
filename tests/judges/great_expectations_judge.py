"""Runs inside the judge's own environment: the same twelve checks by Great Expectations.

Reads {"url": …, "schema": …, "newest": …, "oldest": …} from stdin, writes {"found": {name: failing
rows or observed value}, "import_s": …, "check_s": …} to stdout.
"""

from __future__ import annotations

import json
import sys
import time


def main() -> None:
    asked = json.load(sys.stdin)
    started = time.process_time()
    import great_expectations as gx
    import great_expectations.expectations as gxe

    import_s = time.process_time() - started
    context = gx.get_context(mode="ephemeral")
    source = context.data_sources.add_sql("judge", connection_string=asked["url"])
    asset = source.add_table_asset("thing", table_name="thing", schema_name=asked["schema"])
    batch = asset.add_batch_definition_whole_table("whole")
    orphans = (
        "select t.id from {batch} t left join " + asked["schema"] + ".parent p on p.code = t.code "
        "where t.code is not null and p.code is null"
    )
    checks = {
        "id": gxe.ExpectColumnValuesToNotBeNull(column="id"),
        "name": gxe.ExpectColumnValuesToNotBeNull(column="name"),
        "unique": gxe.ExpectColumnValuesToBeUnique(column="email"),
        "range": gxe.ExpectColumnValuesToBeBetween(column="score", min_value=1, max_value=5),
        "regex": gxe.ExpectColumnValuesToMatchRegex(
            column="email", regex="^[a-z0-9]+@[a-z]+[.]test$"
        ),
        "set": gxe.ExpectColumnValuesToBeInSet(column="status", value_set=["open", "held", "done"]),
        "reference": gxe.UnexpectedRowsExpectation(unexpected_rows_query=orphans),
        "freshness": gxe.ExpectColumnMaxToBeBetween(
            column="made_at", min_value=asked["oldest"], max_value=asked["newest"]
        ),
        "volume": gxe.ExpectTableRowCountToBeBetween(min_value=1),
        "condition": gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="seen_at",
            column_B="made_at",
            or_equal=True,
            ignore_row_if="either_value_is_missing",
        ),
        "length": gxe.ExpectColumnValueLengthsToBeBetween(
            column="body", min_value=10, max_value=400
        ),
        "null_share": gxe.ExpectColumnValuesToNotBeNull(column="is_safe", mostly=0.9),
    }
    suite = context.suites.add(gx.ExpectationSuite(name="s", expectations=list(checks.values())))
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(name="v", data=batch, suite=suite)
    )
    started = time.perf_counter()
    done = definition.run(result_format="SUMMARY")
    check_s = time.perf_counter() - started
    found = {}
    for name, check in checks.items():
        (one,) = [r for r in done.results if r.expectation_config.id == check.id]
        result = one.result
        found[name] = result.get("unexpected_count", result.get("observed_value"))
    sys.stdout.write(
        json.dumps({"found": found, "import_s": import_s, "check_s": check_s}, default=str)
    )


main()
