"""What actions talk to systems with: AWS clients and the environment. Made at the edge and passed in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ts_migration.aws import client
from ts_migration.config import Environment
from ts_migration.cutover.values import Secrets


@dataclass(frozen=True)
class CutoverClients:
    """What a cutover works with.

    Attributes:
        environment: target and organisation, with the token filled in.
        variables: environment variables, for tokens and `{env:NAME}`.
        folder: where files of the configuration are looked for.
        aws: a boto3 client by the name of its service.
    """

    environment: Environment
    variables: Mapping[str, str] = field(repr=False)
    folder: Path
    aws: Callable[[str], Any]

    @cached_property
    def secrets(self) -> Secrets:
        """Fills the placeholders that are secret."""
        return Secrets(self.environment, self.variables)

    @classmethod
    def of(
        cls, environment: Environment, variables: Mapping[str, str], folder: Path, region: str | None = None
    ) -> "CutoverClients":
        """Clients of the product's usual settings, each made when it is first asked for."""
        made: dict[str, Any] = {}

        def aws(service: str) -> Any:
            if service not in made:
                made[service] = client(service, region)
            return made[service]

        return cls(environment, variables, folder, aws)
