"""The source: Amazon Timestream for LiveAnalytics, by its query API and UNLOAD. Knows no InfluxDB and no Dagster."""
