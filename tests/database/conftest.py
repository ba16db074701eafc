from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from brainscore_ops.database.connection import Database
from brainscore_ops.database.embedded import EmbeddedPostgres
from brainscore_ops.settings import DatabaseSecret


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(Path(tmp_path_factory.mktemp("postgres")) / "server")
    server.start()
    yield server
    server.destroy()


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> Iterator[Database]:
    """An empty database of its own for each test."""
    document = postgres.start()
    name = f"test_{uuid4().hex[:12]}"
    server = Database(DatabaseSecret.model_validate(document))
    with server.connection() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    database = Database(DatabaseSecret.model_validate({**document, "database": name}))
    yield database
    database.close()
    with server.connection() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    server.close()
