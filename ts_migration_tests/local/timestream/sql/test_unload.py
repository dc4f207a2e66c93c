"""UNLOAD: its options, their defaults and what they may be (facts: timestream 1.1 and 1.2)."""

import pytest

from ts_migration.local.timestream.sql import (
    SqlRefused,
    Unload,
    UnloadCompression,
    UnloadEncryption,
    UnloadFormat,
    UnloadOptions,
    parse,
)
from ts_migration_tests.local.timestream.sql.engine import NOW, TwoTables

SELECT = 'SELECT region, to_nanoseconds(time) AS time_ns, date_format(time, \'%Y-%m\') AS month FROM "grid"."metrics"'


def unload(options: str, select: str = SELECT, to: str = "s3://bucket/folder/") -> Unload:
    statement = parse(f"UNLOAD ({select}) TO '{to}' {options}", TwoTables(), now_ns=NOW)
    assert isinstance(statement, Unload)
    return statement


def test_without_options_the_defaults_of_the_service_hold():
    found = unload("")
    assert found.destination == "s3://bucket/folder/"
    assert found.options == UnloadOptions(
        UnloadFormat.CSV, UnloadCompression.GZIP, UnloadEncryption.SSE_S3, None, ",", "\\", False, 78 * 1024**3, ()
    )
    assert [column.name for column in found.select.columns] == ["region", "time_ns", "month"]


def test_all_options_are_read_whatever_their_case():
    found = unload(
        "WITH (format = 'csv', COMPRESSION = 'none', encryption='SSE_KMS', kms_key='arn:k', field_delimiter='|',"
        " escaped_by = '!', include_header = 'TRUE', max_file_size = '0.5GB', partitioned_by = ARRAY['month'])"
    )
    assert found.options == UnloadOptions(
        UnloadFormat.CSV,
        UnloadCompression.NONE,
        UnloadEncryption.SSE_KMS,
        "arn:k",
        "|",
        "!",
        True,
        512 * 1024**2,
        ("month",),
    )


@pytest.mark.parametrize(
    ("size", "size_bytes"),
    [("16MB", 16 * 1024**2), ("24.7MB", 25_899_827), ("78GB", 78 * 1024**3), ("20 MB", 20 * 1024**2)],
)
def test_a_file_size_is_read_in_binary_units(size, size_bytes):
    assert unload(f"WITH (max_file_size = '{size}')").options.max_file_size == size_bytes


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("WITH (format = 'ORC')", "UNLOAD option 'format' is 'ORC'; allowed is 'CSV' or 'PARQUET'"),
        ("WITH (compression = 'SNAPPY')", "allowed is 'GZIP' or 'NONE'"),
        ("WITH (max_file_size = '15MB')", "allowed is a size between '16MB' and '78GB'"),
        ("WITH (max_file_size = '79GB')", "allowed is a size between '16MB' and '78GB'"),
        ("WITH (max_file_size = '1TB')", "allowed is a size between '16MB' and '78GB'"),
        ("WITH (field_delimiter = '||')", "allowed is a single ASCII character"),
        ("WITH (escaped_by = 'é')", "allowed is a single ASCII character"),
        ("WITH (include_header = 'yes')", "allowed is 'true' or 'false'"),
        ("WITH (include_header = true)", "Expecting: a string literal"),
        ("WITH (format = 'PARQUET', include_header = 'true')", "'include_header' is for format CSV only"),
        ("WITH (encryption = 'SSE_KMS')", "'kms_key' belongs to encryption 'SSE_KMS'"),
        ("WITH (kms_key = 'k')", "'kms_key' belongs to encryption 'SSE_KMS'"),
        ("WITH (field_delimiter = '!', escaped_by = '!')", "must differ"),
        ("WITH (row_group_size = '1')", "UNLOAD has no option 'row_group_size'"),
        ("WITH (format = 'CSV', format = 'CSV')", "UNLOAD option 'format' is given twice"),
        ("WITH (partitioned_by = ARRAY['nope'])", "partitioned_by column 'nope' is not in the select list"),
        ("WITH (partitioned_by = ARRAY['region'])", "must be the last columns of the select list, in the same order"),
        (
            "WITH (partitioned_by = ARRAY['month', 'time_ns'])",
            "must be the last columns of the select list, in the same order",
        ),
        ("WITH (partitioned_by = ARRAY['month', 'month'])", "a column is named twice in partitioned_by"),
        ("WITH (partitioned_by = ARRAY['region', 'time_ns', 'month'])", "needs a column that is not in partitioned_by"),
        ("WITH (partitioned_by = 'month')", "Expecting: ARRAY"),
        ("WITH ()", "Expecting: an identifier"),
    ],
)
def test_an_option_that_is_not_allowed_is_refused_with_what_is(options, words):
    with pytest.raises(SqlRefused) as caught:
        unload(options)
    assert caught.value.code == "ValidationException"
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("select", "to", "words"),
    [
        ("SELECT NULL", "s3://bucket/x", "UNLOAD does not support the type unknown of column '_col0'"),
        ("SELECT current_time AS t", "s3://bucket/x", "UNLOAD does not support the type time of column 't'"),
        ("SELECT 1 AS a, 2 AS a", "s3://bucket/x", "Column name 'a' specified more than once"),
        ("SELECT 1", "file:///tmp/x", "is not s3://bucket/folder"),
        ("SELECT 1", "s3://", "is not s3://bucket/folder"),
        ("SHOW DATABASES", "s3://bucket/x", "mismatched input 'SHOW'"),
    ],
)
def test_what_cannot_be_written_or_nowhere_is_refused(select, to, words):
    with pytest.raises(SqlRefused) as caught:
        unload("", select, to)
    assert words in caught.value.message


def test_partition_columns_may_be_several_in_the_order_of_the_select_list():
    assert unload("WITH (partitioned_by = ARRAY['time_ns', 'month'])").options.partitioned_by == ("time_ns", "month")
