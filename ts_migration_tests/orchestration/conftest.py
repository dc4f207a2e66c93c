"""An S3 for the leases of runs, an ephemeral Dagster instance, and the scripted stages over both."""

from collections.abc import Iterator

import dagster as dg
import pytest

from ts_migration_tests.local.s3 import running_s3, s3_client
from ts_migration_tests.orchestration.scripted import Script, with_environment


@pytest.fixture(scope="session")
def s3_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_s3(tmp_path_factory.mktemp("orchestration")) as (url, *_):
        s3_client(url).create_bucket(Bucket="export")
        yield url


@pytest.fixture
def script(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Script:
    with_environment(monkeypatch, s3_url)
    return Script(monkeypatch)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance
