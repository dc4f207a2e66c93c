"""Numbers, times, sizes and rates as people read them."""


def grouped(number: float) -> str:
    """With commas: 1,234,567."""
    return f"{number:,}"


def duration_text(seconds: float) -> str:
    """Seconds for people: 0.4 s, 12 s, 3 min 20 s, 2 h 05 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def bytes_text(count: float) -> str:
    """Bytes for people, in powers of ten."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def short_count(count: float) -> str:
    """A number in three digits: 950, 12.3 k, 1.4 M."""
    for unit in ("", " k", " M", " G"):
        if count < 999.5:
            return f"{count:.0f}{unit}" if not unit or count >= 99.95 else f"{count:.1f}{unit}"
        count /= 1000
    return f"{count:.1f} T"


def moment_text(rfc3339: str) -> str:
    """A time in UTC for people: `2023-02-01 00:00 UTC`, with seconds where there are any."""
    return rfc3339.replace("T", " ").removesuffix("Z").removesuffix(":00") + " UTC"
