"""Reading back: the answers that real servers gave, and the ways an answer can lie or break."""

import base64
import json

import msgpack
import numpy as np
import pytest

from ts_migration.errors import Missing, Permanent, Transient
from ts_migration.influxdb.blocks import Block
from ts_migration.influxdb.reader import counts, field_types, points, query_rows, tag_keys
from ts_migration.influxdb.unpacking import block_of
from ts_migration.line_protocol.mapping import FieldType
from ts_migration.windows import Window
from ts_migration_tests.influxdb.scripted import Reply, Request, Scripted, scripted
from ts_migration_tests.shared_material import shared

WINDOW = Window(0, 10**18)


def packed(*documents: dict) -> bytes:
    return b"".join(msgpack.packb(document) for document in documents)


def result(*series: dict, partial: bool = False, **more: object) -> dict:
    return {"results": [{"statement_id": 0, "series": list(series), "partial": partial, **more}]}


def series(values: list[list], columns: tuple[str, ...] = ("time", "f"), **more: object) -> dict:
    return {"name": "m", "columns": list(columns), "values": values, **more}


def read(server: Scripted) -> list[Block]:
    return list(points(server.target, "b", "m", WINDOW))


def test_a_window_is_asked_for_chunked_typed_and_bound_at_both_ends() -> None:
    with scripted(lambda _: Reply(200, body=packed(result()))) as server:
        list(points(server.target, "b", 'my "m"', Window(5, 9)))
    (request,) = server.requests
    assert request.query["q"] == 'SELECT * FROM "my \\"m\\"" WHERE time >= 5 AND time < 9 GROUP BY *'
    assert (request.query["db"], request.query["epoch"], request.query["chunked"]) == ("b", "ns", "true")
    assert request.headers["accept"] == "application/x-msgpack"


def test_what_a_real_server_answered_becomes_typed_blocks() -> None:
    scenarios = json.loads(shared("conformance/influxdb_v2.7.11.json").read_text())
    (scenario,) = [each for each in scenarios if each["name"] == "read: msgpack"]
    recorded = [
        base64.b64decode(step["response"]["body_b64"])
        for step in scenario["steps"]
        if "chunked" in step["request"].get("query", {})
    ]
    with scripted(lambda _: Reply(200, body=recorded[0])) as server:
        blocks = read(server)
    assert [(block.tags["source"], len(block.times)) for block in blocks] == [
        ("hydro", 4),
        ("hydro", 2),
        ("wind", 4),
        ("wind", 2),
    ]
    first = blocks[0]
    assert first.times.tolist()[:2] == [1672531200000000000, 1672534800000000000]
    kinds = {column.field: column.kind for column in first.columns}
    assert kinds == {
        "mw": FieldType.FLOAT,
        "note": FieldType.STRING,
        "online": FieldType.BOOLEAN,
        "units": FieldType.INTEGER,
    }
    assert [column.values.tolist()[1] for column in first.columns] == [101.5, "h1", True, 1]  # fmt: skip


def test_holes_are_masked_and_a_field_without_any_value_is_left_out() -> None:
    block = block_of(series([[1, None, 2, None], [2, 1.5, 3, None]], ("time", "f", "g", "h")))
    f, g = block.columns
    assert (f.field, f.valid.tolist(), f.values[1]) == ("f", [False, True], 1.5)
    assert (g.field, g.valid, g.values.tolist()) == ("g", None, [2, 3])


def test_a_field_of_two_types_comes_as_two_columns() -> None:
    block = block_of(series([[1, 1], [2, 1.0], [3, None], [4, True]]))
    found = {column.kind: (column.values[column.valid].tolist(), column.valid.tolist()) for column in block.columns}
    assert found == {
        FieldType.INTEGER: ([1], [True, False, False, False]),
        FieldType.FLOAT: ([1.0], [False, True, False, False]),
        FieldType.BOOLEAN: ([True], [False, False, False, True]),
    }


def test_an_absent_tag_is_no_tag_and_bytes_that_are_no_text_are_kept() -> None:
    body = packed(result(series([[1, "x"]], tags={"a": "", "b": "c"}))).replace(b"\xa1x", b"\xa1\xff")
    with scripted(lambda _: Reply(200, body=body)) as server:
        (block,) = read(server)
    assert block.tags == {"b": "c"}
    assert block.columns[0].values[0] == "\udcff"


def test_the_sign_of_zero_and_the_extremes_of_integers_survive() -> None:
    block = block_of(series([[1, -0.0, -(2**63)], [2, 5e-324, 2**63 - 1]], ("time", "f", "i")))
    assert np.signbit(block.columns[0].values).tolist() == [True, False]
    assert block.columns[1].values.tolist() == [-(2**63), 2**63 - 1]


def test_an_unsigned_integer_beyond_int64_is_refused() -> None:
    with pytest.raises(Permanent, match="unsigned"):
        block_of(series([[1, 2**63]]))


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (packed(result(error="max-select-point limit exceeded")), Permanent, "max-select-point"),
        (packed(result(series([[1, 1.0]]), partial=True), {"results": [], "error": "engine closed"}), Permanent, "engine closed"),
        (packed(result(series([[1, 1.0]]), partial=True)), Transient, "ended an answer early"),
        (packed(result(series([[1, 1.0]])))[:-4], Transient, "ended an answer early"),
        (b"", Transient, "ended an answer early"),
        (packed(result(error="database not found: b")), Missing, "cannot be read"),
        (packed(result(error="query killed")), Transient, "killed"),
    ],
)  # fmt: skip
def test_an_error_or_an_end_inside_the_answer_is_never_taken_for_data(body: bytes, kind: type, words: str) -> None:
    with scripted(lambda _: Reply(200, body=body)) as server, pytest.raises(kind, match=words):
        read(server)


def test_an_answer_that_is_cut_off_is_transient() -> None:
    body = packed(result(series([[n, 1.0] for n in range(1000)])))
    reply = Reply(200, body=body[:500], headers={})
    with scripted(lambda _: reply) as server, pytest.raises(Transient):
        read(server)


def test_a_refused_query_says_why() -> None:
    with (
        scripted(lambda _: Reply(400, "failed to parse query: found EOF")) as server,
        pytest.raises(Permanent, match="found EOF"),
    ):
        read(server)


def test_counts_lose_the_servers_prefix_and_fields_without_values() -> None:
    answer = result(series([[0, 12, 0, 3]], ("time", "count_mw", "count_off", "count_count_x")))
    with scripted(lambda _: Reply(200, body=packed(answer))) as server:
        assert counts(server.target, "b", "m", WINDOW) == {"count_x": 3, "mw": 12}


def test_a_measurement_that_is_not_there_counts_nothing() -> None:
    with scripted(lambda _: Reply(200, body=packed({"results": [{"statement_id": 0}]}))) as server:
        assert counts(server.target, "b", "m", WINDOW) == {}
        assert read(server) == []


def test_field_types_over_shards_and_tag_keys() -> None:
    def answer(request: Request) -> Reply:
        if "FIELD" in request.query["q"]:
            rows = [["u", "integer"], ["mw", "float"], ["u", "float"]]
            return Reply(200, body=packed(result(series(rows, ("fieldKey", "fieldType")))))
        return Reply(200, body=packed(result(series([["b"], ["a"]], ("tagKey",)))))

    with scripted(answer) as server:
        assert field_types(server.target, "b", "m") == {"mw": ("float",), "u": ("float", "integer")}
        assert tag_keys(server.target, "b", "m") == ("a", "b")
        assert query_rows(server.target, "b", "SHOW TAG KEYS") == [("b",), ("a",)]


def test_a_bucket_with_a_slash_is_asked_for_as_database_and_retention_policy() -> None:
    with scripted(lambda _: Reply(200, body=packed(result()))) as server:
        counts(server.target, "telegraf/autogen", "m", WINDOW)
    (request,) = server.requests
    assert (request.query["db"], request.query["rp"]) == ("telegraf", "autogen")
