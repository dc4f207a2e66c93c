"""The embedded stack: real servers on loopback that stand in for Timestream, InfluxDB 2, S3 and the rest of AWS.

Nothing in the pipeline imports from here except the command line; only URLs tell an embedded server from a real one.
"""
