"""The conversion: Timestream rows to InfluxDB line protocol, vectorised. Pure but for reading and writing files."""
