"""Due times around every change of every zone's clock, worked out without the code under test.

It walks real time minute by minute, reads the local clock as Python's zoneinfo has it, and applies the rules as they
are written in the documentation of `CronRule`. Nothing here knows cron: a schedule is a set of hours and of minutes.

Usage: dst.py ZONEINFO_DIR. Zone data is read from that folder only, so that both sides read the same.
Prints one line a zone: its name and then, for each change, `seconds:schedule=due,due;schedule=…`: due times in minutes
from the change, `+` after those that a gap moved.
"""

import sys
import zoneinfo
from datetime import datetime, timedelta, timezone
from pathlib import Path

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
FIRST, LAST = datetime(2020, 1, 1, tzinfo=timezone.utc), datetime(2041, 1, 1, tzinfo=timezone.utc)
DAY = 24 * 60
ALL_HOURS = frozenset(range(24))
REGULAR_MINUTES_AROUND = 4 * 60
DAILY_MINUTES_AROUND = 26 * 60


def minutes_of(at):
    return (at - EPOCH) // timedelta(minutes=1)


def offset_at(zone, minute):
    """Minutes east of UTC at a moment, given in minutes since the epoch."""
    seconds = (EPOCH + timedelta(minutes=minute)).astimezone(zone).utcoffset().total_seconds()
    assert seconds % 60 == 0, (zone, minute)
    return int(seconds) // 60


def changes(zone):
    """`(minute, offset before, offset after)`; days whose ends differ are halved until the minute is found."""
    before = offset_at(zone, minutes_of(FIRST))
    for day in range(minutes_of(FIRST), minutes_of(LAST), DAY):
        after = offset_at(zone, day + DAY)
        if after != before:
            low, high = day, day + DAY
            while high - low > 1:
                middle = (low + high) // 2
                if offset_at(zone, middle) == before:
                    low = middle
                else:
                    high = middle
            yield high, before, after
        before = after


def schedules(change, before, after):
    """Fixed ones, and daily ones inside and at the edges of this very gap or overlap."""
    found = {
        "0 * * * *": (ALL_HOURS, {0}),
        "15 * * * *": (ALL_HOURS, {15}),
        "*/30 * * * *": (ALL_HOURS, {0, 30}),
        "0 */2 * * *": (set(range(0, 24, 2)), {0}),
        "0 3 * * *": ({3}, {0}),
    }
    low, high = sorted((change + before, change + after))
    for local in {low - 1, low, (low + high) // 2, high - 1, high}:
        hour, minute = divmod(local % DAY, 60)
        found[f"{minute} {hour} * * *"] = ({hour}, {minute})
    return found


def due_times(hours, minutes, change, before, after):
    """`(minutes from the change, moved)`, in order."""
    regular = hours == ALL_HOURS
    around = REGULAR_MINUTES_AROUND if regular else DAILY_MINUTES_AROUND
    wanted = {hour * 60 + minute for hour in hours for minute in minutes}
    found = {}
    local_seen = set()
    for step in range(-around, around + 1):
        local = change + step + (before if step < 0 else after)
        if local % DAY in wanted:
            if regular or local not in local_seen:
                found[step] = False
            local_seen.add(local)
    for local in range(change + before, change + after):
        carried_on = regular and (local + after - before) % DAY in wanted
        if local % DAY in wanted and not carried_on:
            found.setdefault(0, True)
    return sorted(found.items())


def line(changes_of_zone):
    shown = []
    for change, before, after in changes_of_zone:
        each = []
        for expression, (hours, minutes) in schedules(change, before, after).items():
            dues = due_times(hours, minutes, change, before, after)
            each.append(f"{expression}=" + ",".join(f"{step}+" if moved else str(step) for step, moved in dues))
        shown.append(f"{change * 60}:" + ";".join(each))
    return "\t".join(shown)


def main(folder):
    zoneinfo.reset_tzpath([folder])
    # Aliases have the same data, and many zones the same changes.
    by_content, lines = {}, {}
    for name in sorted(zoneinfo.available_timezones()):
        path = Path(folder) / name
        if path.is_file():
            content = path.read_bytes()
            if content not in by_content:
                by_content[content] = tuple(changes(zoneinfo.ZoneInfo(name)))
            same = by_content[content]
            if same not in lines:
                lines[same] = line(same)
            print(f"{name}\t{lines[same]}")


main(sys.argv[1])
