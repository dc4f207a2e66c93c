"""Moves Amazon Timestream tables to InfluxDB 2, window by window, and proves each window.

Nothing is imported here on purpose: `ts-migration --help` must not pay for Dagster, and the embedded servers
must not pay for the pipeline. The map of the packages is `docs/architecture.md`.
"""
