"""Google's own Data API client against a server here; runs in an environment of its own, not in ours.

Arguments: address, property, day, page size. Standard input: a JSON list of [dimensions, metrics].
Standard output: for each report its rows over all pages, row count, flags, time zone, currency and
what is left of the day's tokens; or the name and words of the error.
"""

import json
import sys

from google.analytics.data_v1beta import BetaAnalyticsDataClient
from google.analytics.data_v1beta.services.beta_analytics_data.transports import (
    BetaAnalyticsDataRestTransport,
)
from google.analytics.data_v1beta.types import (
    DateRange,
    Dimension,
    Metric,
    OrderBy,
    RunReportRequest,
)
from google.api_core.exceptions import GoogleAPICallError
from google.auth.credentials import AnonymousCredentials


def main() -> None:
    host, property_id, day, page_rows = sys.argv[1:]
    transport = BetaAnalyticsDataRestTransport(
        host=host, credentials=AnonymousCredentials(), url_scheme="http"
    )
    client = BetaAnalyticsDataClient(transport=transport)
    found = []
    for dimensions, metrics in json.load(sys.stdin):
        try:
            found.append(read(client, property_id, day, int(page_rows), dimensions, metrics))
        except GoogleAPICallError as error:
            found.append({"error": type(error).__name__, "said": error.message})
    json.dump(found, sys.stdout)


def read(client, property_id, day, page_rows, dimensions, metrics):
    pages = []
    while not pages or sum(len(page.rows) for page in pages) < pages[0].row_count:
        request = RunReportRequest(
            property=f"properties/{property_id}",
            date_ranges=[DateRange(start_date=day, end_date=day)],
            dimensions=[Dimension(name=name) for name in dimensions],
            metrics=[Metric(name=name) for name in metrics],
            order_bys=[
                OrderBy(dimension=OrderBy.DimensionOrderBy(dimension_name=name))
                for name in dimensions
            ],
            limit=page_rows,
            offset=sum(len(page.rows) for page in pages),
            return_property_quota=True,
        )
        pages.append(client.run_report(request))
    metadata = [page.metadata for page in pages]
    return {
        "rows": [
            [cell.value for cell in (*row.dimension_values, *row.metric_values)]
            for page in pages
            for row in page.rows
        ],
        "row_count": pages[0].row_count,
        "is_thresholded": any(bool(one.subject_to_thresholding) for one in metadata),
        "is_sampled": any(bool(one.sampling_metadatas) for one in metadata),
        "has_data_loss": any(one.data_loss_from_other_row for one in metadata),
        "time_zone": metadata[0].time_zone,
        "currency": metadata[0].currency_code,
        "tokens_left": pages[-1].property_quota.tokens_per_day.remaining,
    }


if __name__ == "__main__":
    main()
