"""`allowed_hours`: between which times of day new windows may begin, such as `22:00-06:00 America/Sao_Paulo`."""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

ALLOWED = "HH:MM-HH:MM and a time zone, such as 22:00-06:00 America/Sao_Paulo; UTC where none is named"
_TEXT = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})(?:\s+(\S+))?")


@dataclass(frozen=True)
class AllowedHours:
    """From `start`, included, to `end`, excluded, by the clocks of a time zone; over midnight where it ends earlier."""

    start: time
    end: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str) -> "AllowedHours":
        """The hours that a text of the configuration says.

        Raises:
            ValueError: it is none.
        """
        found = _TEXT.fullmatch(text.strip())
        if found is None:
            raise ValueError(ALLOWED)
        *numbers, zone = found.groups()
        hours = [int(number) for number in numbers]
        try:
            start, end = time(hours[0], hours[1]), time(hours[2] % 24 if hours[3] == 0 else hours[2], hours[3])
            where = ZoneInfo(zone or "UTC")
        except (ValueError, KeyError, OSError):
            raise ValueError(ALLOWED) from None
        if start == end:
            raise ValueError(ALLOWED)
        return cls(start, end, where)

    def opens_in(self, now: datetime) -> timedelta:
        """How long until windows may begin; nothing where they may now. `now` knows its time zone."""
        local = now.astimezone(self.zone)
        clock = local.time().replace(tzinfo=None)
        inside = self.start <= clock < self.end if self.start < self.end else clock >= self.start or clock < self.end
        if inside:
            return timedelta()
        opens = datetime.combine(local.date(), self.start, self.zone)
        if opens <= local:
            opens = datetime.combine(local.date() + timedelta(days=1), self.start, self.zone)
        return max(opens.astimezone(now.tzinfo) - now, timedelta(seconds=1))
