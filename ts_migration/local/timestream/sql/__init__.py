"""Timestream's SQL, translated to DuckDB's by a typed rewrite, and result values in the Query API's wire form.

The public names: ``parse`` and the statements it returns, ``SqlRefused``, ``execution_refusal`` and the renderers.
Only allow-listed syntax and functions are translated; everything else raises. Nothing here runs a query, reads a
clock or knows HTTP, pages or S3.
"""

from __future__ import annotations

from ts_migration.local.timestream.sql.refusal import SqlRefused
from ts_migration.local.timestream.sql.rendering import column_info, render, render_rows
from ts_migration.local.timestream.sql.statements import (
    Describe,
    Select,
    ShowDatabases,
    ShowMeasures,
    ShowTables,
    Statement,
    Unload,
    UnloadCompression,
    UnloadEncryption,
    UnloadFormat,
    UnloadOptions,
)
from ts_migration.local.timestream.sql.translation import execution_refusal, like_matches, parse

__all__ = [
    "Describe",
    "Select",
    "ShowDatabases",
    "ShowMeasures",
    "ShowTables",
    "SqlRefused",
    "Statement",
    "Unload",
    "UnloadCompression",
    "UnloadEncryption",
    "UnloadFormat",
    "UnloadOptions",
    "column_info",
    "execution_refusal",
    "like_matches",
    "parse",
    "render",
    "render_rows",
]
