"""Fault injection: the embedded Timestream, InfluxDB and S3 misbehave as their real counterparts do, on demand.

Rules lie in a file beside each server's data (`rules`); which requests they hit is decided from a seed (`schedule`,
`active`); a wrapper around each server does it (`middleware`). The servers themselves know nothing of it.
"""
