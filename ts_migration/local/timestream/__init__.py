"""A Timestream for LiveAnalytics server: write API, query API and UNLOAD over AWS JSON 1.0; its engine is DuckDB."""
