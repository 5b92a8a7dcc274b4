"""Dates as people write them, and as ISO 8601 does: "Thursday, 5 March 1987" is 1987-03-05."""

from __future__ import annotations

import datetime

FIRST, LAST = datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_SHORT = 3  # letters of a short name
_TEENS = (11, 12, 13)  # which end in th
_FORMS = (
    "{day} {month} {year}",  # the first is what an ISO date is translated into
    "{weekday}, {day} {month} {year}",
    "{month} {day}, {year}",
    "{weekday}, {month} {day}, {year}",
    "{month} {ordinal}, {year}",
    "the {ordinal} of {month} {year}",
    "{short_weekday} {day} {short_month} {year}",
    "{day}-{short_month}-{year}",
    "{short_month} {day} {year}",
    "{day}.{number}.{year}",
)


def written(date: datetime.date) -> tuple[str, ...]:
    """Return the forms in which people write ``date``: the first, "5 March 1987", has no weekday,
    so that it follows from the digits alone.
    """
    month, weekday = _MONTHS[date.month - 1], _DAYS[date.weekday()]
    names = {
        "day": date.day,
        "ordinal": _ordinal(date.day),
        "month": month,
        "short_month": month[:_SHORT],
        "number": date.month,
        "year": date.year,
        "weekday": weekday,
        "short_weekday": weekday[:_SHORT],
    }
    return tuple(form.format(**names) for form in _FORMS)


def _ordinal(day: int) -> str:
    ending = "th" if day in _TEENS else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"
