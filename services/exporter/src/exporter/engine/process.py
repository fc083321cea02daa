"""Runs the export engine as a subprocess. Imports no torch."""

from __future__ import annotations

import asyncio

from exporter.engine.contract import ExportResult, ExportSpec
from labelstream_yolo.child import Engine, EngineCancelledError, EngineFailedError

__all__ = ["EngineCancelledError", "EngineFailedError", "run_export"]


async def run_export(spec: ExportSpec, cancelled: asyncio.Event | None = None) -> ExportResult:
    """Export as `spec` says, in a subprocess that dies with this process.

    Raises EngineFailedError with the rule, the reason and the log's tail, and EngineCancelledError once `cancelled`
    is set. However it ends, the subprocess is gone.
    """
    engine = Engine("exporter.engine", spec, spec.out_dir)
    return ExportResult.model_validate(await engine.run(cancelled=cancelled))
