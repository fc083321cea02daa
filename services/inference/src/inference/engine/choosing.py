"""Which artifact of a bundle answers, and in which runtime: of those that were proved and run here, the fastest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from operator import itemgetter

import structlog

from inference.engine.adapters.contract import Backend
from inference.engine.backends import Backends, RuntimeName
from inference.engine.candidates import candidates
from inference.engine.contract import Engine, Tried
from inference.engine.detector import Detector
from inference.engine.machine import Device, Machine
from inference.engine.measuring import Runner, beats
from labelstream.bundle import Artifact, Manifest
from labelstream.errors import Rejected

Read = Callable[[Artifact], bytes]  # opens an artifact's seal, in memory
Prove = Callable[[Engine, Artifact], None]  # raises Rejected when the engine gives other answers than it must

_log = structlog.get_logger()


class Engines:
    """Opens bundles on this machine."""

    def __init__(
        self,
        device: Device = "auto",
        artifacts: Sequence[str] = (),
        max_batch: int = 16,
        threads: int | None = None,
        *,
        spread: bool = True,
        runtimes: Sequence[RuntimeName] = (),
        backends: Backends | None = None,
    ) -> None:
        """Use `device`, only the `runtimes` named, and of each bundle only the `artifacts` named (none: all).

        max_batch: images that a GPU takes at once, at most. threads: cores to use (None: all that the process may use).
        spread: a run that is alone takes every core, for which the network is opened a second time.
        """
        self._names = tuple(artifacts)
        machine = Machine.of(device, threads, max_batch, spread=spread)
        self._backends = backends or Backends(machine, only=tuple(runtimes))

    @property
    def threads(self) -> int:
        """How many workers suit this machine: one for each core, and so many that a GPU's batches fill up."""
        machine = self._backends.machine
        return machine.threads if machine.gpu is None else max(machine.threads, 2 * machine.max_batch)

    def open_fastest(self, manifest: Manifest, read: Read, prove: Prove | None = None) -> Engine:
        """Open the fastest artifact that was proved (where none was, that is not) and that `prove` accepts.

        Two artifacts are open at the same time, at most. Raises Rejected: model.no_artifact_for_us, or what was wrong
        with the only one that could have answered.
        """
        found = candidates(manifest, self._names, self._backends.lacking)
        race = _Race(self._backends, manifest, read, prove, dict(found.refused))
        engine = next((won for group in found.groups if (won := race.winner(group))), None)
        _tell(manifest, engine, race.tried())
        if engine is None:
            raise race.nothing()
        return replace(engine, tried=race.tried())


@dataclass(eq=False)
class _Entrant:
    """An artifact in one runtime, and what became of it."""

    artifact: Artifact
    runtime: RuntimeName
    backend: Backend
    seconds: float | None = None  # of one image
    refused: Rejected | None = None

    def open(self, manifest: Manifest, read: Read) -> Detector | None:
        """Open and try it; None when it does not run."""
        detector = None
        try:
            network = self.backend.open(self.artifact, manifest.image_size, read(self.artifact))
            detector = Detector(self.artifact, manifest.image_size, network, self.backend.faults)
            detector.prepare(manifest)
        except Rejected as error:
            self.refused = error
            if detector:
                detector.close()
            return None
        return detector

    @property
    def row(self) -> Tried:
        """Return it as a row of what was tried."""
        ms = None if self.seconds is None else round(self.seconds * 1000, 3)
        return Tried(self.artifact.name, self.runtime, ms, self.refused.reason if self.refused else None)


@dataclass
class _Race:
    """The artifacts of one bundle, each in all runtimes that suit it, against each other."""

    backends: Backends
    manifest: Manifest
    read: Read
    prove: Prove | None
    left_out: dict[str, str]  # why, by the artifact's name
    entrants: list[_Entrant] = field(default_factory=list)

    def winner(self, group: Sequence[Artifact]) -> Detector | None:
        """Return the fastest that answers as it must, ready to serve; None when there is none."""
        entered = self._enter(group)
        for entrant, detector in self._fastest_first(entered):
            try:
                detector.settle()
                if self.prove:
                    self.prove(detector, detector.facts)
            except Rejected as error:
                entrant.refused = error
                detector.close()
            else:
                return detector
        return None

    def _enter(self, group: Sequence[Artifact]) -> list[_Entrant]:
        """Have each artifact run in every runtime that suits it.

        What the exporter made for a runtime stands for all that this runtime could read of the same precision, as
        long as another one reads that.
        """
        made = {(each.format, each.precision) for each in group}
        entered = []
        for artifact in group:
            backends = self.backends.of(artifact)
            entered += [
                _Entrant(artifact, name, backend)
                for name, backend in backends.items()
                if len(backends) == 1 or name == artifact.format or (name, artifact.precision) not in made
            ]
        self.entrants += entered
        return entered

    def _fastest_first(self, entered: Sequence[_Entrant]) -> Iterator[tuple[_Entrant, Detector]]:
        """Open the fastest; when it is not the one, the next fastest, and so on."""
        champion = self._run_all(entered)
        if champion is None:
            return
        yield champion
        others = [(each.seconds, each) for each in entered if each.seconds is not None and each is not champion[0]]
        for _, entrant in sorted(others, key=itemgetter(0)):
            detector = self._open(entrant)
            if detector:
                yield entrant, detector

    def _run_all(self, entered: Sequence[_Entrant]) -> tuple[_Entrant, Detector] | None:
        champion: tuple[_Entrant, Detector, Runner] | None = None
        for entrant in entered:
            detector = self._open(entrant)
            if detector is None:
                continue
            challenger = entrant, detector, Runner(detector.trial)
            if champion is None:
                challenger[2].run()
                champion = challenger
                continue
            champion, loser = (challenger, champion) if beats(challenger[2], champion[2]) else (champion, challenger)
            loser[0].seconds = loser[2].best
            loser[1].close()
        if champion is None:
            return None
        champion[0].seconds = champion[2].best
        return champion[0], champion[1]

    def _open(self, entrant: _Entrant) -> Detector | None:
        return entrant.open(self.manifest, self.read)

    def tried(self) -> tuple[Tried, ...]:
        """Return what became of each artifact in each runtime, the fastest first."""
        rows = [entrant.row for entrant in self.entrants]
        rows += [Tried(name, refused=why) for name, why in self.left_out.items()]
        raced = {row.artifact for row in rows}
        rows += [Tried(each.name) for each in self.manifest.artifacts if each.name not in raced]  # it came to no race
        return tuple(sorted(rows, key=lambda row: (row.refused is not None, row.ms is None, row.ms or 0)))

    def nothing(self) -> Rejected:
        """Return what to say when nothing answers."""
        refused = [(each, each.refused) for each in self.entrants if each.refused]
        if len({(each.artifact.name, error.rule) for each, error in refused}) == 1:  # the others could not be opened
            error = refused[0][1]
            return Rejected(error.rule, "; ".join(dict.fromkeys(each.reason for _, each in refused)), error.hint)
        reasons = [f"{name}: {why}" for name, why in self.left_out.items()]
        reasons += [f"{each.artifact.name} in {each.runtime}: {error.reason}" for each, error in refused]
        said = "; ".join(reasons)
        return Rejected(
            "model.no_artifact_for_us",
            f"no artifact of {self.manifest.model} answers here: {said}",
            "Export the model in a format that runs here, such as onnx-fp32.",
        )


def _tell(manifest: Manifest, engine: Engine | None, tried: Sequence[Tried]) -> None:
    """Log once why this artifact answers."""
    table = [asdict(row) for row in tried]
    if engine is None:
        _log.warning("artifact.none", model=manifest.model, tried=table)
    else:
        _log.info("artifact.chosen", model=manifest.model, artifact=engine.artifact, on=engine.backend, tried=table)
