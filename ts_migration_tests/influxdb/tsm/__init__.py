"""The TSM format: held against a shard of a real server, and against a plain reader and writer of its own."""
