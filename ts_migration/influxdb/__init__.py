"""The target: InfluxDB 2, by its control API, write API and InfluxQL. Knows no Timestream and no Dagster."""
