"""One step of a stream ahead of its consumer, in a thread: frames are read while the one before is encoded.

Only for streams whose work leaves Python's lock alone most of the time (Arrow, polars, numpy, sockets).
"""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

Step = TypeVar("Step")


def one_ahead(source: Generator[Step, None, None], name: str) -> Generator[Step, None, None]:
    """What `source` yields, the next step made while the consumer works on this one; memory holds one step more.

    An error of the source is raised where its step would have come. A consumer that stops early waits for the step
    under way, and closes the source.

    Args:
        source: yields no None.
        name: of the thread.
    """
    with closing(source), ThreadPoolExecutor(max_workers=1, thread_name_prefix=name) as pool:
        following = pool.submit(next, source, None)
        while (step := following.result()) is not None:
            following = pool.submit(next, source, None)
            yield step
            del step
