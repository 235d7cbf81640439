"""MetricFlow's own word on the specifications; runs in the judges' environment, not in ours.

Standard input: a JSON list of [metric, [names to group by]]. Standard output: a JSON list with
MetricFlow's SQL for each. Exit code 1 with one line per finding where a file is not valid.
"""

import json
import sys

from metricflow.engine.metricflow_engine import MetricFlowEngine, MetricFlowQueryRequest
from metricflow.protocols.sql_client import SqlEngine
from metricflow.sql.render.postgres import PostgresSQLSqlPlanRenderer
from metricflow_semantic_interfaces.parsing.dir_to_model import (
    parse_directory_of_yaml_files_to_semantic_manifest,
)
from metricflow_semantic_interfaces.validations.semantic_manifest_validator import (
    SemanticManifestValidator,
)
from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup


class Dialect:
    """All that the engine wants to know of a database that it never asks."""

    sql_engine_type = SqlEngine.POSTGRES
    sql_plan_renderer = PostgresSQLSqlPlanRenderer()


def main() -> int:
    built = parse_directory_of_yaml_files_to_semantic_manifest(
        sys.argv[1], raise_issues_as_exceptions=False
    )
    validated = SemanticManifestValidator().validate_semantic_manifest(built.semantic_manifest)
    findings = [one.as_readable_str() for one in (*built.issues.all_issues, *validated.all_issues)]
    if findings:
        sys.stdout.write("\n".join(findings))
        return 1
    engine = MetricFlowEngine(SemanticManifestLookup(built.semantic_manifest), Dialect())
    asked = json.load(sys.stdin)
    statements = [
        engine.explain(
            MetricFlowQueryRequest.create(metric_names=[metric], group_by_names=by or None)
        ).sql_statement.sql
        for metric, by in asked
    ]
    json.dump(statements, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
