"""An InfluxDB 2 server: durable writes, InfluxQL and the Flux that operators type, held to recordings of real servers.

`storage` keeps points, `influxql` and `flux` read them through `points`, `server` speaks HTTP.
"""
