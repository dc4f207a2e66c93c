"""InfluxQL's answers as bytes: JSON, CSV and MessagePack, whole or in chunks."""
