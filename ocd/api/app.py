"""The HTTP application: `/healthz`, `/readyz`, `/metrics`, and the OpenAPI document."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeVar

from fastapi import FastAPI, Header, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from pydantic import BaseModel
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from ocd.api import problems
from ocd.api.metrics import LedgerCollector, Lengths
from ocd.core import migrate
from ocd.ledger.observe import Snapshot, Watched, observe

T = TypeVar("T")

log = logging.getLogger(__name__)

#: A database that is busy or locked is as good as away: whoever asks comes again.
STATEMENT_TIMEOUT = "5s"


class Health(BaseModel):
    """The process lives."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Everything that the process needs answers."""

    status: Literal["ready"] = "ready"
    checks: dict[str, Literal["ok"]]


class Unready(problems.Problem):
    """What does not answer; `checks` says of each whether it is ok."""

    checks: dict[str, Literal["ok", "failed"]]


@dataclass(frozen=True)
class Ledger:
    """The ledger as the reader's login sees it: read only, and never for long."""

    engine: Engine
    jobs: tuple[str, ...]
    head: str

    def look(self) -> Snapshot | None:
        """Return how it stands; None where it cannot be read."""
        return self._ask(lambda conn: observe(conn, self.jobs))

    def checks(self) -> dict[str, bool]:
        """Return whether PostgreSQL answers, and whether its schema is that of the code."""
        # In a list: an empty database has no revision, and one that is away gives no answer.
        found = self._ask(lambda conn: [migrate.current(conn)])
        return {"postgres": found is not None, "schema": found == [self.head]}

    def _ask(self, question: Callable[[Connection], T]) -> T | None:
        try:
            with self.engine.connect() as conn:
                conn.execute(text("set transaction read only"))
                conn.execute(text(f"set local statement_timeout = '{STATEMENT_TIMEOUT}'"))
                return question(conn)
        except SQLAlchemyError as error:
            log.warning("ledger_away", extra={"error": type(error).__name__})
            return None


def create_app(
    engine: Engine, watched: Iterable[Watched], queue_lengths: Callable[[], Lengths]
) -> FastAPI:
    """Make the application; `engine` is of the reader's login, `queue_lengths` gives None without Redis."""
    jobs = tuple(watched)
    version = importlib.metadata.version("ocd")
    ledger = Ledger(engine, tuple(one.job for one in jobs), migrate.head())
    registry = CollectorRegistry(auto_describe=False)
    registry.register(
        LedgerCollector(
            {"version": version, "schema": ledger.head}, jobs, ledger.look, queue_lengths
        )
    )
    app = FastAPI(
        title="ocd",
        summary="Health and metrics of the system.",
        version=version,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        # The pages for people would load their scripts from another host.
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(problems.SecureHeaders)
    app.add_exception_handler(HTTPException, problems.on_http_error)
    app.add_exception_handler(Exception, problems.on_fault)
    _add_health(app)
    _add_readiness(app, ledger, queue_lengths)
    _add_metrics(app, registry)
    return app


def _add_health(app: FastAPI) -> None:
    async def healthz() -> Health:
        """Say that the process lives; touches nothing outside it."""
        return Health()

    _get(app, "/healthz", healthz)


def _add_readiness(app: FastAPI, ledger: Ledger, queue_lengths: Callable[[], Lengths]) -> None:
    def readyz() -> Any:
        """Say whether PostgreSQL, its schema and Redis are there for this process."""
        checks = ledger.checks() | {"redis": queue_lengths() is not None}
        said = {name: "ok" if is_ok else "failed" for name, is_ok in checks.items()}
        if all(checks.values()):
            return {"status": "ready", "checks": said}
        return problems.problem(HTTPStatus.SERVICE_UNAVAILABLE, checks=said)

    # Not `model`: that would be declared as plain JSON.
    unready = {
        "description": "Something does not answer.",
        "content": {problems.MEDIA_TYPE: {"schema": Unready.model_json_schema()}},
    }
    _get(app, "/readyz", readyz, response_model=Readiness, responses={503: unready})


def _add_metrics(app: FastAPI, registry: CollectorRegistry) -> None:
    def metrics(accept: Annotated[str, Header(include_in_schema=False)] = "") -> Response:
        """Return the metrics in the format that the scraper asks for; `ocd_ledger_up` is 0 without a ledger."""
        encode, content_type = choose_encoder(accept)
        return Response(encode(registry), media_type=content_type)

    _get(app, "/metrics", metrics, response_class=PlainTextResponse)


def _get(app: FastAPI, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
    """Add a path that answers GET and, like every page, HEAD."""
    app.add_api_route(path, endpoint, methods=["GET"], **options)
    app.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False, **options)
