"""How a verdict on a dataset looks on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from labelstream_cli.datasets.words import SHORT, count, size, some
from labelstream_datasets.checking.verify import Finding, Verdict

_STYLES = {"erased": "yellow", "collected": "yellow"}
_SAID = {"not_built": "not built again"}
_HINTS = {
    "erased": "It can't be laid out whole any more; splits that hold nothing of it still can (`labelstream dataset "
    "pull --splits`). `labelstream dataset build` makes one without what was erased.",
    "still_stored": "`labelstream dataset pull` still lays it out with what was erased, until the augmenter has "
    "taken that out of the archives. `labelstream dataset build` makes one without it.",
    "collected": "`labelstream gc` removed archives of it: `labelstream dataset build` makes one that is kept.",
}
_MOST_ARCHIVES = 10


def show_verdict(verdict: Verdict, console: Console, *, names: bool) -> None:
    """Print what was looked at, and what is not as it was; `names` lists all annotations."""
    console.print(f"[bold]{verdict.id}[/]", soft_wrap=True)
    if verdict.rebuilt_id == verdict.id:
        console.print("built again from the streams: the same id")
    elif verdict.rebuilt_id:
        console.print(f"built again from the streams: [red]{verdict.rebuilt_id[:SHORT]}[/], another one")
    read = "downloaded and read" if verdict.deep else "looked up"
    archives = f"{count(verdict.archives, 'archive')} ({size(verdict.archive_bytes)}) {read}"
    followed = f", {verdict.rewritten:,} of them rewritten since" if verdict.rewritten else ""
    console.print(f"{archives}{followed}; {count(verdict.samples, 'sample')}")
    for finding in verdict.findings if names else verdict.findings[:_MOST_ARCHIVES]:
        _show(finding, console, names=names)
    if len(verdict.findings) > _MOST_ARCHIVES and not names:
        console.print(f"and {len(verdict.findings) - _MOST_ARCHIVES} more findings: --names shows all, --json too")
    if verdict.sound:
        console.print("[green]Everything is as it was.[/]")
    for kind in dict.fromkeys("still_stored" if one.still_stored else one.kind for one in verdict.findings):
        if kind in _HINTS:
            console.print(_HINTS[kind], markup=False, soft_wrap=True)


def _show(finding: Finding, console: Console, *, names: bool) -> None:
    style = _STYLES.get(finding.kind, "red")
    label = _SAID.get(finding.kind, finding.kind)
    console.print(f"[{style}]{label}[/] {escape(finding.reason)}", soft_wrap=True)
    images = [one.name for one in finding.images]
    if names:
        for one in finding.images:
            console.print(f"  {escape(one.name)} [dim]{one.image[:SHORT]}[/]")
    elif images:
        console.print(f"  [dim]{escape(some(images, 8))}[/]")
