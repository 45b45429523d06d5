"""The journal's databases: a file, and a server that one session starts once."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.service.journal.journal import Journal
from tests.support.postgres import PASSWORD, Cluster, running_postgres

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    with running_postgres() as cluster:
        yield cluster


@pytest.fixture
def postgres_journal(postgres: Cluster) -> Journal:
    """A journal in a new database of the server."""
    return Journal(postgres.new_database(f"journal_{next(_NUMBERS)}"), password=PASSWORD.encode)


@pytest.fixture(params=["sqlite", "postgresql"])
def new_journal(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Journal]:
    """Opens one and the same new journal, as several processes would."""
    if request.param == "sqlite":
        return lambda: Journal.at(tmp_path / "journal.db")
    postgres: Cluster = request.getfixturevalue("postgres")
    url = postgres.new_database(f"journal_{next(_NUMBERS)}")
    return lambda: Journal(url, password=PASSWORD.encode)


@pytest.fixture
def journal(new_journal: Callable[[], Journal]) -> Journal:
    return new_journal()
