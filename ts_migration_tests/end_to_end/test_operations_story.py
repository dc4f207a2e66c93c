"""The guide's command lines as printed, and those of the runbook, in one story on the embedded stack."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ts_migration.orchestration.names import UNLOAD_POOL, WRITE_POOL
from ts_migration_tests.embedded_stack import EmbeddedStack
from ts_migration_tests.end_to_end.guide import command_lines
from ts_migration_tests.end_to_end.history import history, unfinished
from ts_migration_tests.end_to_end.manifests import Objects
from ts_migration_tests.end_to_end.operations_story import GENERATION, Scenes, play, programs_folder, variables_of
from ts_migration_tests.end_to_end.runbook import Shown, as_command, inline_commands, shown
from ts_migration_tests.end_to_end.terminal import Said, Terminal, open_terminal

pytestmark = pytest.mark.stack

CODES = {
    # Exit codes other than 0.
    "second execute": 2, "stuck execute": 130, "monitor all of it": 130, "monitor the stuck one": 130,
    "status of cancelled jobs": 1, "monitor with the target": 3, "validation fails": 1,
    "validation of the table fails": 1, "validation of the day fails": 1, "shut": 1, "without s3": 1,
    "monitor a killed one": 1, "status of a killed one": 1, "full disk": 1,
}  # fmt: skip
TOLD_ELSEWHERE = ("ts-migration reset", "ts-migration catch-up", "ts-migration quarantine list")
"""Commands that the runbook names for cases that this story has not: they have tests of their own."""


@dataclass(frozen=True)
class Story:
    """What was typed, and where."""

    stack: EmbeddedStack
    terminal: Terminal
    scenes: Scenes

    def __getitem__(self, scene: str) -> Said:
        return self.scenes[scene]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    stack = EmbeddedStack(tmp_path_factory.mktemp("story"))
    stack.up()
    try:
        stack.seed_examples(600)
        exports = json.loads(stack.run("local", "env", "--format", "json").stdout)
        terminal = open_terminal(stack.folder, programs_folder(stack), variables_of(exports))
        yield Story(stack, terminal, play(stack, terminal))
    finally:
        stack.down()


# The guide


def test_every_command_line_of_the_guide_was_typed_as_it_is_printed(story):
    typed = {re.sub(r"\s+", " ", line) for said in story.terminal.history for line in said.printed.splitlines()}
    missing = {section: [line for line in lines if line not in typed] for section, lines in command_lines().items()}
    assert not {section: lines for section, lines in missing.items() if lines}


def test_every_line_ended_as_it_should(story):
    ended = {scene: said.code for scene, said in story.scenes.items() if said.code}
    expected = (
        CODES if "full disk" in story.scenes else {scene: CODES[scene] for scene in CODES if scene != "full disk"}
    )
    assert ended == expected, {scene: story[scene].text[-2000:] for scene in ended.keys() ^ expected.keys()}


def test_nothing_ended_with_a_traceback_or_a_bug(story):
    assert not [said.typed for said in story.terminal.history if re.search("Traceback|This is a bug", said.text)]


@pytest.mark.parametrize("scene", ["dry run", "dry run in a region", "quick dry run"])
def test_a_dry_run_ends_with_what_the_guide_promises(story, scene):
    assert story[scene].out.splitlines()[-3:] == [
        "Configuration validation completed: 3 jobs validated",
        "Prerequisites validation passed",
        "All infrastructure components accessible",
    ]
    assert story[scene].err.startswith("kept: the exports in s3://") and story[scene].err.count("\n") == 1


def test_an_export_that_sticks_is_seen_by_whoever_looks(story):
    assert re.search(r"^state +running$", story["stuck"].out, re.MULTILINE)
    assert re.search(r"^at work +2023-01-01\.\.2024-01-01: export, \d+ s$", story["stuck"].out, re.MULTILINE)
    assert "running, 0 of 2 windows, in export (1 at work)" in story["monitor the stuck one"].out
    assert all(job in story["monitor all of it"].out for job in ("generation", "load", "exchange"))


@pytest.mark.parametrize("scene", ["cancel", "cancel second", "cancel third"])
def test_a_job_is_cancelled_within_seconds(story, scene):
    assert float(re.search(r"cancelled, it was running; stopped within ([\d.]+) s", story[scene].out)[1]) < 10


def test_status_names_what_was_cancelled_and_how_to_go_on(story):
    told = story["status of cancelled jobs"]
    assert len(re.findall(r" cancelled ", told.out)) == 3
    assert told.err.count("next: ts-migration execute --resume") == 3


def test_a_resumed_migration_waits_for_an_influxdb_that_is_away_and_says_so(story):
    assert story["resumed"].err.startswith("going on with migration-")
    assert "Proven. All 6 windows of 3 tables" in story["resumed"].out
    assert "InfluxDB cannot be reached" not in story["resumed"].err, "no window failed for it"
    assert "warning: it waits and tries again: " in story["monitor to the end"].out
    assert "succeeded, 2 of 2 windows" in story["monitor one to the end"].out


def test_a_spoiled_value_is_found_by_each_validation_and_repaired(story):
    assert "window 2023-01-01: checks failed: checksum" in story["validation fails"].err
    assert "window 2023-01-01: checks failed: checksum" in story["validation of the table fails"].err
    assert "until 2023-01-02T00:00:00Z: checksum, sample failed" in story["validation of the day fails"].err
    assert "send its members again" in story["what a repair would do"].out


def test_a_rolled_back_job_shuts_the_cutover_until_it_is_proven_again(story):
    assert "each proven by count and digest to hold what it held before" in story["rolled back"].out
    assert f"not ready: {GENERATION}: windows that are not migrated: 2" in story["shut"].err
    assert "Proven. All 6 windows of 3 tables" in story["executed again"].out
    assert story["open"].out.startswith("ready: everything is proven")


def test_two_configurations_are_migrated_side_by_side(story):
    assert "Proven. The one window holds" in story["side by side"].out
    assert "another execute works on this configuration: migration-" in story["second execute"].err
    assert "stop it: ts-migration execute --cancel-job migration-" in story["second execute"].err


def test_a_lost_s3_is_one_error_that_names_it(story):
    errors = [line for line in story["without s3"].err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert "EndpointConnectionError" in story["without s3"].err
    assert "was rolled back" not in story["without s3"].text


def test_monitor_and_status_tell_that_a_process_was_killed(story):
    assert "its process is gone" in story["monitor a killed one"].out
    assert re.search(rf"{GENERATION} .* its process is gone ", story["status of a killed one"].out)


def test_a_killed_worker_holds_no_place_in_a_pool_so_that_dagster_and_the_next_execute_go_on(story):
    assert "RUN_SUCCESS" in story["in dagster"].err
    assert re.search(rf"{GENERATION}: \d windows migrated, 0 failed", story["executed again"].out)
    with history(story.stack) as instance:
        for pool in (UNLOAD_POOL, WRITE_POOL):
            info = instance.event_log_storage.get_concurrency_info(pool)
            assert (info.slot_count, info.claimed_slots, info.pending_steps) == (1, [], [])


def test_the_guides_cleanup_leaves_the_proof_and_its_archive_holds_logs_and_results(story):
    assert "Every value is proven" in story["validated after the cleanup"].out
    assert {"migration_execution.log", "migration_validation.log"} <= set(story["archive"].out.splitlines())
    assert re.search(r"^migration_results_.*\.json$", story["archive"].out, re.MULTILINE)
    objects = Objects(story.stack, "ons_energy_data/generation_data")
    assert objects.statuses() == dict.fromkeys(["2023-01-01", "2024-01-01"], "proven")
    assert not [path for path in objects.bulk.rglob("*") if path.is_file()]


def test_the_guides_queries_are_answered(story):
    assert ",2.5,value,measured" in story["first query"].out
    assert ",2.5,value,measured" in story["second query"].out


def test_a_full_disk_is_one_message_and_the_same_command_goes_on_once_there_is_room(story):
    if "full disk" not in story.scenes:
        pytest.skip("no file system can be mounted here")
    assert re.findall(r"^error: .*", story["full disk"].err, re.MULTILINE) == [
        f"error: {story.stack.folder / 'home'}: no space is left on the disk. Next: free some, then run the same command "
        "again: it goes on where it was."
    ]
    assert "Proven. The one window holds" in story["room again"].out


def test_nothing_is_left_running(story):
    assert unfinished(story.stack) == []


# The runbook


@pytest.mark.parametrize("block", shown(), ids=lambda block: block.command[:60])
def test_the_runbook_shows_what_its_commands_print(story, block: Shown):
    if "no space is left" in "".join(block.lines) and "full disk" not in story.scenes:
        pytest.skip("no file system can be mounted here")
    runs = [said for said in story.terminal.history if as_command(said.typed) == as_command(block.command)]
    assert runs, (
        f"the story has no such command; it has {sorted({as_command(said.typed) for said in story.terminal.history})}"
    )
    missing = min((block.missing_in(said) for said in runs), key=len)
    assert not missing, [said.text for said in runs]


def test_every_command_that_the_runbook_names_is_run(story):
    typed = {as_command(said.typed) for said in story.terminal.history}
    named = [line for line in inline_commands() if not line.startswith(TOLD_ELSEWHERE)]
    assert [line for line in named if as_command(line) not in typed] == []
