"""Every role on every table, view and function, with the own row and with somebody else's.

The expectation of each case is computed from the facts of `ocd.datasets`; the case itself is a real
`SET ROLE` with real claims on a live database. `done`: it worked; `hidden`: no row was found;
`refused`: a policy said no; `denied`: the role has no such right; `impossible`: nobody could.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest

from ocd.datasets.access import CLAIMS, ROLES, SWITCHED
from ocd.datasets.facts import Access, Dataset, Scope, Verb
from ocd.datasets.registry import DATASETS
from ocd.datasets.views import FUNCTIONS, VIEWS, Function, View
from tests.conftest import Database, _database, at
from tests.database.rows import CHANGED, insert

CLAIMED = """{"conversation_id": "own", "project": "own", "request_id": "own", "shop_domain": "own", "sub": "own"}"""
OWNERS = ("own", "foreign")
_numbers = itertools.count(1000)


@dataclass(frozen=True)
class Case:
    """A role tries a verb on a row of a table."""

    role: str
    dataset: Dataset
    verb: Verb
    who: str

    def __str__(self) -> str:
        return f"{self.role}-{self.verb}-{self.dataset.name}-{self.who}"

    @property
    def right(self) -> Access | None:
        """What the facts give for it."""
        for one in self.dataset.access:
            if one.role == self.role and self.verb in one.verbs:
                return one
        return None

    def expected(self) -> str:
        """What must come of it."""
        right = self.right
        if right is None:
            return "denied"
        is_foreign = self.who == "foreign" and right.scope in CLAIMS
        if not is_foreign or (right.scope is Scope.SIGNED and self.verb is not Verb.UPDATE):
            return "done"
        if self.verb is Verb.INSERT or right.scope is Scope.SIGNED:
            return "refused"
        return "hidden"


CASES = [
    Case(role, dataset, verb, who)
    for role in ROLES
    for dataset in DATASETS
    for verb in Verb
    for who in OWNERS
]


@dataclass(frozen=True)
class Shop:
    """A database in which each table has a row of each owner."""

    database: Database
    ids: dict[tuple[str, str], int]
    connections: dict[str, psycopg.Connection]

    def connection_of(self, role: str) -> psycopg.Connection:
        """People's roles by the API's login; the others are logins of their own or Supabase's."""
        return self.connections["api" if role in SWITCHED else "superuser"]


@pytest.fixture(scope="module")
def shop(server: str, template: str) -> Iterator[Shop]:
    for database in _database(server, template):
        ids = {}
        with psycopg.connect(database.superuser_url, autocommit=True) as conn:
            conn.execute(
                "insert into agent_run (run_id, agent_name) values (gen_random_uuid(), 'parent')"
            )
            conn.execute("""
                insert into ocd.run (job, window_start, window_end, window_label, queue, trigger, state, finished_at)
                values ('parent', now() - interval '1 day', now(), 'w', 'short', 'manual', 'done', now())
            """)
            for number, (one, who) in enumerate(itertools.product(DATASETS, OWNERS)):
                made = conn.execute(insert(one.name, one.table, who, number) + " returning id")
                ids[one.name, who] = made.fetchone()[0]
        connections = {
            "superuser": psycopg.connect(database.superuser_url),
            "api": psycopg.connect(at(database.url, user="ocd_api", password="api")),
        }
        yield Shop(database, ids, connections)
        for connection in connections.values():
            connection.close()


def attempt(shop: Shop, role: str, statement: str) -> str:
    """Run one statement as the role with its claims, and take it back."""
    conn = shop.connection_of(role)
    try:
        conn.execute(f"set local role {role}")
        conn.execute("select set_config('request.jwt.claims', %s, true)", [CLAIMED])
        done = conn.execute(statement)
    except psycopg.errors.InsufficientPrivilege as error:
        return "refused" if "row-level security" in str(error) else "denied"
    except psycopg.errors.ObjectNotInPrerequisiteState:
        return "impossible"
    else:
        return "done" if done.rowcount else "hidden"
    finally:
        conn.rollback()


def statement_of(case: Case, row_id: int) -> str:
    table = case.dataset.table
    if case.verb is Verb.SELECT:
        return f"select * from {table} where id = {row_id}"
    if case.verb is Verb.INSERT:
        return insert(case.dataset.name, table, case.who, next(_numbers))
    if case.verb is Verb.DELETE:
        return f"delete from {table} where id = {row_id}"
    if case.right and case.right.scope is Scope.SIGNED:
        return f"update {table} set annotator = '{case.who}' where id = {row_id}"
    column = CHANGED[case.dataset.name]
    return f"update {table} set {column} = {column} where id = {row_id}"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_role_can_do_what_the_facts_say_and_nothing_else(shop, case):
    found = attempt(shop, case.role, statement_of(case, shop.ids[case.dataset.name, case.who]))

    assert found == case.expected()


def columns_of(shop: Shop, view: View) -> list[str]:
    conn = shop.connections["superuser"]
    found = conn.execute(f"select * from {view.name} limit 0").description
    conn.rollback()
    return [f'"{one.name}"' for one in found]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("verb", list(Verb))
@pytest.mark.parametrize("view", VIEWS, ids=lambda one: one.name)
def test_a_view_is_read_by_its_readers_and_written_by_nobody(shop, view: View, verb, role):
    column = columns_of(shop, view)[-1]
    statements = {
        Verb.SELECT: f"select * from {view.name}",
        Verb.INSERT: f"insert into {view.name} ({column}) values (null)",
        Verb.UPDATE: f"update {view.name} set {column} = null",
        Verb.DELETE: f"delete from {view.name}",
    }

    found = attempt(shop, role, statements[verb])

    may = verb is Verb.SELECT and role in view.readers
    assert (found in {"done", "hidden"}) is may


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda one: one.signature.split("(")[0])
def test_a_function_is_called_by_its_callers_only(shop, function: Function, role):
    name = function.signature.split("(")[0]

    found = attempt(shop, role, f"select {name}(-1, 'somebody')")

    assert (found == "done") is (role in function.callers)


@pytest.mark.parametrize(
    "role", [one for one in ROLES if one not in {"ocd_worker", "service_role"}]
)
@pytest.mark.parametrize("dataset", DATASETS, ids=lambda one: one.name)
def test_nobody_can_count_ids_up(shop, dataset, role):
    assert attempt(shop, role, f"select nextval('{dataset.table}_id_seq')") == "denied"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("dataset", DATASETS, ids=lambda one: one.name)
def test_nobody_can_empty_a_table_at_once(shop, dataset, role):
    """TRUNCATE asks no policy."""
    assert attempt(shop, role, f"truncate {dataset.table} cascade") == "denied"


def test_the_matrix_is_large_enough_to_be_whole():
    assert len(CASES) == len(ROLES) * len(DATASETS) * 4 * 2
    assert len(CASES) >= 1000


def test_the_matrix_sees_a_policy_that_opens_too_much(shop):
    """It can fail: with one more permissive policy a foreign row is found."""
    conn = psycopg.connect(shop.database.superuser_url)
    case = Case(
        "authenticated",
        next(one for one in DATASETS if one.name == "facts"),
        Verb.SELECT,
        "foreign",
    )
    conn.execute("create policy leak on facts for select to authenticated using (true)")
    conn.execute("set local role authenticated")

    found = conn.execute(statement_of(case, shop.ids["facts", "foreign"])).rowcount
    conn.rollback()
    conn.close()

    assert (case.expected(), found) == ("hidden", 1)
