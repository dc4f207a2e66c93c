"""`make bench`: every benchmark, one after the other. Figures that were seen are in README.md of this folder."""

import subprocess
import sys

BENCHMARKS = ("benchmarks.embedded_influxdb", "benchmarks.convert")


def main() -> None:
    """Run them all; the first that fails ends it."""
    for name in BENCHMARKS:
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, "-m", name], check=True)


if __name__ == "__main__":
    main()
