"""What a command does for its jobs while they run: writes them down, beats their heart, hears that one is to stop."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.orchestration.job_heart import HEARTBEAT_S, InFlight, beat, lives
from ts_migration.orchestration.job_ids import job_id_of
from ts_migration.orchestration.job_record import (
    JobBegin,
    JobEnd,
    job_records,
    stop_requests,
    tell_begun,
    tell_ended,
)
from ts_migration.orchestration.liveness import announce_worker
from ts_migration.orchestration.names import TableNames

if TYPE_CHECKING:
    from ts_migration.orchestration.pool import Pool

LISTEN_S = 1.0
"""How often requests to stop are asked for: one indexed query, 5 ms."""
LOOK_S = 2.0
"""How often the steps of the windows at work are looked at: two queries and one a window, some 10 ms."""


class JobWatch:
    """Beats and listens in a thread while its block lasts.

    Args:
        instance: where it beats and listens.
        execution_id: whose heart it is.
        slugs: the jobs of the execution.
        on_stop: told the slug of a job that somebody asked to stop.
        on_look: called every two seconds, to tell on what is at work.
        heart: what to say of the work at each beat: what is in flight, and until when windows are held back.
    """

    def __init__(
        self,
        instance: dg.DagsterInstance,
        execution_id: str,
        slugs: Sequence[str],
        *,
        on_stop: Callable[[str], None],
        on_look: Callable[[], None],
        heart: Callable[[], tuple[tuple[InFlight, ...], float | None]],
    ) -> None:
        self._instance = instance
        self._execution_id = execution_id
        self._jobs = {job_id_of(execution_id, slug): slug for slug in slugs}
        self._on_stop = on_stop
        self._on_look = on_look
        self._heart = heart
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="job watch", daemon=True)

    @classmethod
    def of_pool(cls, instance: dg.DagsterInstance, execution_id: str, slugs: Sequence[str], pool: "Pool") -> "JobWatch":
        """The watch of jobs that are nothing but a pool's work: who asks one to stop stops its tasks."""
        return cls(
            instance,
            execution_id,
            slugs,
            on_stop=pool.cancel,
            on_look=lambda: None,
            heart=lambda: (pool.in_flight, None),
        )

    def __enter__(self) -> "JobWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        next_beat = next_look = 0.0
        heard: set[str] = set()
        told: tuple[InFlight, ...] = ()
        while not self._over.wait(LISTEN_S):
            # A storage that is busy or away is asked again; a heart that stays silent is what others then see.
            with suppress(SQLAlchemyError):
                in_flight, held_until = self._heart()
                if time.monotonic() >= next_beat or in_flight != told:
                    beat(self._instance, self._execution_id, in_flight, held_until)
                    next_beat, told = time.monotonic() + HEARTBEAT_S, in_flight
                if time.monotonic() >= next_look:
                    self._on_look()
                    next_look = time.monotonic() + LOOK_S
                for job_id in stop_requests(self._instance, self._jobs) - heard:
                    heard.add(job_id)
                    self._on_stop(self._jobs[job_id])


@contextmanager
def written_down(
    instance: dg.DagsterInstance,
    config: MigrationConfig,
    jobs: Sequence[MigrationJob],
    execution_id: str,
    *,
    command: str,
    config_path: Path,
    limits: tuple[str, str] | None = None,
    resumes: str = "",
) -> Iterator[None]:
    """Write down that jobs begin, and where the block raises, that they failed or were cancelled.

    What they came to otherwise is told by the block itself (`tell_ended`): the first end that is told holds.
    """
    home = Path(instance.root_directory)
    announce_worker(home, execution_id)
    beat(instance, execution_id)
    ids = [job_id_of(execution_id, job.slug) for job in jobs]
    for job, job_id in zip(jobs, ids, strict=True):
        tell_begun(
            instance,
            JobBegin(
                job_id=job_id,
                execution_id=execution_id,
                command=command,
                job=job.slug,
                source=job.source,
                bucket=job.target_bucket,
                assets="/".join(TableNames.of(config, job).prefix),
                config=str(config_path.resolve()),
                windows=len(job.grid),
                first=limits[0] if limits else "",
                last=limits[1] if limits else "",
                host=socket.gethostname(),
                home=str(home),
                pid=os.getpid(),
                resumes=resumes,
            ),
        )
    try:
        yield
    except KeyboardInterrupt:
        for job_id in ids:
            tell_ended(instance, job_id, JobEnd.CANCELLED, "interrupted")
        raise
    except Exception as error:
        for job_id in ids:
            tell_ended(instance, job_id, JobEnd.FAILED, str(error).splitlines()[0][:500] if str(error) else "")
        raise


def end_lost_jobs(instance: dg.DagsterInstance) -> None:
    """Write down the end of jobs whose process is gone: what the next command goes on with is no longer theirs."""
    for record in job_records(instance):
        if record.end is None and not lives(instance, record.begin):
            end = JobEnd.CANCELLED if record.stop_requested else JobEnd.LOST
            tell_ended(instance, record.job_id, end, "the process that ran it was gone")
