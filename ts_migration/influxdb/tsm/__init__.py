"""TSM, the file format of InfluxDB's shards: `writer.tsm_file` writes, `reader.read_tsm` reads, `columns` is between.

Pure: arrays in, bytes out. A file's blocks are laid out in columns, all blocks of a stretch at once. Where points come
from and how files reach a server is elsewhere. Source: influxdb, tsdb/engine/tsm1 (encodings, DESIGN.md) of 2.7.
"""
