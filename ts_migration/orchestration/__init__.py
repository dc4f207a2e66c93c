"""The only folder that imports Dagster: assets, checks, partitions, jobs, sensors, resources, and runs."""
