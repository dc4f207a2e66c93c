"""moto in this process, empty for each test; a web server; and a world of its own for each test."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from ts_migration_tests.cutover.grafana import web_server
from ts_migration_tests.cutover.world import Refusing, World


@pytest.fixture(scope="session")
def _made() -> tuple[dict[str, Any], Refusing]:
    from ts_migration.local.aws_server import fill_gaps

    fill_gaps()
    return {}, Refusing()


@pytest.fixture
def refusing(_made: tuple[dict[str, Any], Refusing]) -> Refusing:
    refusing = _made[1]
    refusing.refuse(None)
    refusing.code = "AccessDeniedException"
    return refusing


@pytest.fixture
def world(
    _made: tuple[dict[str, Any], Refusing], refusing: Refusing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    from moto import mock_aws

    clients = _made[0]
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    for name in ("S3", "LAMBDA", "SSM", "SNS"):
        monkeypatch.delenv(f"AWS_ENDPOINT_URL_{name}", raising=False)

    def aws(service: str) -> Any:
        if service not in clients:
            client = boto3.client(service, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
            client.meta.events.register("before-call", refusing.before)
            client.meta.events.register("after-call", refusing.after)
            clients[service] = client
        return clients[service]

    with mock_aws(config={"core": {"reset_boto3_session": False}}), web_server() as web:
        made = World(aws, web, tmp_path)
        made.build()
        yield made
