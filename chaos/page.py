"""The report as a page that people read: verdict, figures, picture, and every fault with what it led to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chaos.report import Report


def page(report: Report, picture: str) -> str:
    """Return the page as Markdown; `picture` lies beside it."""
    return "\n".join(_lines(report, picture)) + "\n"


def _lines(report: Report, picture: str) -> Iterator[str]:
    course, wrong = report.course, report.course.evidence.wrong
    verdict = f"{len(wrong)} WRONG" if wrong else "all is right"
    yield f"# Chaos, seed {course.seed}, {course.minutes:g} minutes: {verdict}"
    yield ""
    if wrong:
        yield from _table(("at", "wrong"), ((_clock(at), sentence) for sentence, at in wrong.items()))
    yield from _table(("what", "figures"), report.rows())
    yield f"![What happened when]({picture})"
    yield ""
    begun = course.diary.begun
    if course.alarms is not None and course.alarms.fired:
        fired = sorted(course.alarms.fired.items(), key=lambda one: one[1])
        yield from _table(("at", "alert"), ((_clock(at - begun), name) for name, at in fired))
    back = {one.round: one.seconds for one in course.diary.back}
    faults = (
        (
            str(one.round),
            _clock(one.begun - begun),
            str(one.fault),
            "" if (seconds := back.get(one.round)) is None else f"{seconds:.1f}",
        )
        for one in course.diary.done
    )
    yield from _table(("round", "at", "fault", "all ready after its round, s"), faults)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in row)} |"
    yield ""


def _clock(seconds: float) -> str:
    """Return a time since the beginning as minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
