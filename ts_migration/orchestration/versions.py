"""Data versions of the windows' assets: which manifest a materialisation is of, and which one that was made from.

Dagster lets only the data version be asked of all partitions at once, so the parent is part of it. With it the event
log alone tells that an export or a conversion was made again after what follows: Dagster keeps the checks of the bucket
green then.
"""

from collections.abc import Mapping

import dagster as dg

from ts_migration.orchestration.names import DATA_VERSION_TAG, ROLLED_BACK_VERSION

_DIGITS = 16
"""Hexadecimal digits of a digest: enough to tell versions apart, few enough to be read."""


def stage_version(digest: str, parent: str = "") -> dg.DataVersion:
    """The version of a stage's asset.

    Args:
        digest: of the stage's manifest.
        parent: digest of the manifest that it was made from, if any.
    """
    return dg.DataVersion(".".join(each[:_DIGITS] for each in (digest, parent) if each))


def latest_versions(instance: dg.DagsterInstance, asset: dg.AssetKey) -> Mapping[str, str]:
    """Partition key -> version of the newest materialisation, "" where it has none."""
    tags = instance.event_log_storage.get_latest_tags_by_partition(
        asset, dg.DagsterEventType.ASSET_MATERIALIZATION, [DATA_VERSION_TAG]
    )
    return {key: found.get(DATA_VERSION_TAG, "") for key, found in tags.items()}


def is_rolled_back(version: str) -> bool:
    """Whether a version says that the materialisation before it was taken back."""
    return version == ROLLED_BACK_VERSION


def is_made_from(version: str, parent: str) -> bool:
    """Whether a version was made from the parent's version."""
    return bool(version) and version.partition(".")[2] == parent.partition(".")[0]
