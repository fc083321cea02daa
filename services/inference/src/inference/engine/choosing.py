"""Which artifact of a bundle answers: of those that were proved and that this machine runs, the fastest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import structlog

from inference.engine.backends import Backends
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
        backends: Backends | None = None,
    ) -> None:
        """Use `device`, and of each bundle only the `artifacts` named (none: all).

        max_batch: images that a GPU takes at once, at most. threads: cores to use (None: all that the process may use).
        spread: a run that is alone takes every core, for which the network is opened a second time.
        """
        self._names = tuple(artifacts)
        self._backends = backends or Backends(Machine.of(device, threads, max_batch, spread=spread))

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


@dataclass
class _Race:
    """The artifacts of one bundle against each other."""

    backends: Backends
    manifest: Manifest
    read: Read
    prove: Prove | None
    refused: dict[str, str]  # why, by the artifact's name
    seconds: dict[str, float] = field(default_factory=dict)  # of one image, by the artifact's name
    errors: list[Rejected] = field(default_factory=list)

    def winner(self, group: Sequence[Artifact]) -> Detector | None:
        """Return the fastest that answers as it must, ready to serve; None when there is none."""
        for detector in self._fastest_first(group):
            try:
                detector.settle()
                if self.prove:
                    self.prove(detector, detector.facts)
            except Rejected as error:
                self._refuse(detector.facts, error)
                detector.close()
            else:
                return detector
        return None

    def _fastest_first(self, group: Sequence[Artifact]) -> Iterator[Detector]:
        """Open the fastest; when it is not the one, the next fastest, and so on."""
        champion = self._run_all(group)
        if champion is None:
            return
        yield champion
        others = [each for each in group if each.name in self.seconds and each.name != champion.artifact]
        for artifact in sorted(others, key=lambda each: self.seconds[each.name]):
            detector = self._open(artifact)
            if detector:
                yield detector

    def _run_all(self, group: Sequence[Artifact]) -> Detector | None:
        champion: tuple[Detector, Runner] | None = None
        for artifact in group:
            detector = self._open(artifact)
            if detector is None:
                continue
            challenger = detector, Runner(detector.trial)
            if champion is None:
                challenger[1].run()
                champion = challenger
            else:
                loser = champion
                if beats(challenger[1], champion[1]):
                    champion = challenger
                else:
                    loser = challenger
                self._note(loser)
                loser[0].close()
        if champion is None:
            return None
        self._note(champion)
        return champion[0]

    def _note(self, ran: tuple[Detector, Runner]) -> None:
        self.seconds[ran[0].artifact] = ran[1].best

    def _open(self, artifact: Artifact) -> Detector | None:
        backend, side, detector = self.backends.of(artifact), self.manifest.image_size, None
        try:
            network = backend.open(artifact, side, self.read(artifact))
            detector = Detector(artifact, side, network, backend.faults)
            detector.prepare(self.manifest)
        except Rejected as error:
            self._refuse(artifact, error)
            if detector:
                detector.close()
            return None
        return detector

    def _refuse(self, artifact: Artifact, error: Rejected) -> None:
        self.refused[artifact.name] = error.reason
        self.errors.append(error)

    def tried(self) -> tuple[Tried, ...]:
        """Return what became of each artifact, the fastest first."""
        rows = [self._row(artifact.name) for artifact in self.manifest.artifacts]
        return tuple(sorted(rows, key=lambda row: (row.refused is not None, row.ms is None, row.ms or 0)))

    def _row(self, name: str) -> Tried:
        seconds = self.seconds.get(name)
        return Tried(name, None if seconds is None else round(seconds * 1000, 3), self.refused.get(name))

    def nothing(self) -> Rejected:
        """Return what to say when nothing answers."""
        if len(self.errors) == 1:  # the others could not even be opened
            return self.errors[0]
        said = "; ".join(f"{name}: {why}" for name, why in self.refused.items())
        return Rejected(
            "model.no_artifact_for_us",
            f"no artifact of {self.manifest.model} answers here: {said}",
            "Export the model in a format that runs here, such as onnx-fp32.",
        )


def _tell(manifest: Manifest, engine: Engine | None, tried: Sequence[Tried]) -> None:
    """Log once why this artifact answers."""
    table = [{"artifact": row.artifact, "ms": row.ms, "refused": row.refused} for row in tried]
    if engine is None:
        _log.warning("artifact.none", model=manifest.model, tried=table)
    else:
        _log.info("artifact.chosen", model=manifest.model, artifact=engine.artifact, on=engine.backend, tried=table)
