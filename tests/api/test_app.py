"""What the pages answer when all is well, and when something is away."""

from __future__ import annotations

import pytest
from fastapi.openapi.models import OpenAPI
from sqlalchemy import create_engine, text

from ocd.api.problems import HEADERS
from ocd.core import migrate
from ocd.core.db import sqlalchemy_url

PAGES = ["/healthz", "/readyz", "/metrics", "/openapi.json"]


def is_problem(answer, status):
    body = answer.json()
    return (
        answer.status_code == body["status"] == status
        and answer.headers["content-type"] == "application/problem+json"
        and {"type", "title", "status"} <= set(body)
    )


@pytest.mark.parametrize("page", PAGES)
def test_every_page_answers_get_and_head_alike(client, page):
    got, headed = client.get(page), client.head(page)

    assert got.status_code == headed.status_code == 200
    assert headed.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize("page", [*PAGES, "/nowhere"])
def test_every_answer_has_the_secure_headers(client, page):
    answer = client.get(page)

    assert HEADERS.items() <= dict(answer.headers).items()


def test_readyz_names_what_it_checked(client):
    assert client.get("/readyz").json() == {
        "status": "ready",
        "checks": {"postgres": "ok", "schema": "ok", "redis": "ok"},
    }


def test_without_redis_it_is_not_ready(client, broker):
    broker.lengths = None

    answer = client.get("/readyz")

    assert is_problem(answer, 503)
    assert answer.json()["checks"] == {"postgres": "ok", "schema": "ok", "redis": "failed"}


def test_on_an_older_schema_it_is_not_ready(db, client):
    migrate.downgrade(db.owner_url, "-1")

    answer = client.get("/readyz")

    assert is_problem(answer, 503)
    assert answer.json()["checks"] == {"postgres": "ok", "schema": "failed", "redis": "ok"}


def test_without_postgres_it_lives_but_is_not_ready_and_tells_no_secret(away, caplog):
    answer = away.get("/readyz")

    assert away.get("/healthz").status_code == 200
    assert is_problem(answer, 503)
    assert answer.json()["checks"]["postgres"] == "failed"
    assert "s3cret" not in answer.text + caplog.text
    assert "connection" not in answer.text


def test_a_locked_ledger_is_given_up_in_time(db, client, monkeypatch):
    monkeypatch.setattr("ocd.api.app.STATEMENT_TIMEOUT", "200ms")
    owner = create_engine(sqlalchemy_url(db.owner_url))

    with owner.begin() as conn:
        conn.execute(text("lock table ocd.run in access exclusive mode"))
        answer = client.get("/metrics")

    owner.dispose()
    assert answer.status_code == 200
    assert "ocd_ledger_up 0.0" in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("POST", "/metrics", 405), ("GET", "/docs", 404)],
)
def test_every_refusal_is_a_problem(client, method, path, status):
    assert is_problem(client.request(method, path), status)


def test_a_method_that_is_refused_says_which_is_not(client):
    assert client.post("/healthz").headers["allow"] == "GET"


def test_a_fault_of_ours_is_a_problem_without_its_text(client, broker):
    broker.lengths = property(lambda _: None)  # no mapping: whoever reads it fails

    answer = client.get("/metrics")

    assert is_problem(answer, 500)
    assert "property" not in answer.text
    assert HEADERS.items() <= dict(answer.headers).items()


def test_the_openapi_document_is_one_and_names_every_page(client):
    document = client.get("/openapi.json").json()

    OpenAPI.model_validate(document)
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == set(PAGES) - {"/openapi.json"}
    assert (
        "application/problem+json"
        in document["paths"]["/readyz"]["get"]["responses"]["503"]["content"]
    )
