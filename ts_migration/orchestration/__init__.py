"""The only folder that imports Dagster: assets, checks, partitions, jobs, sensors, resources, and runs."""

import warnings

import dagster as dg

warnings.filterwarnings("ignore", category=dg.PreviewWarning)
"""Partitioned asset checks are a preview of Dagster 1.13; `test_dagster_pins` holds them to what is relied on."""
