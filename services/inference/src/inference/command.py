"""The command line of inference."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

from labelstream.service.serve import serve

DESCRIPTION = """\
Answers HTTP requests with the boxes that a model finds.

Without --bundle it is the service: it follows the promotions in RabbitMQ, and its settings come from
LABELSTREAM_… variables, which the README lists.

`inference annotate` is the worker of `labelstream annotate`: it asks such a service about stored images. Its settings
come from LABELSTREAM_ANNOTATE__… variables.

With --bundle it serves what `labelstream models pull` wrote, and needs no network: no broker, no store, no
exporter. LABELSTREAM_INFERENCE__… variables still say how it answers (DEVICE, ARTIFACTS, THREADS, …).
"""
EXAMPLES = """\
examples:
  labelstream models pull serving --to edge/
  inference --bundle edge/ --identity kiosk-7.age-identity --trusted-key signing-key.pub.pem --access open
  inference --bundle cars/ --bundle ships/ --identity kiosk-7.age-identity --trusted-key signing-key.pub.pem \\
      --host 0.0.0.0 --api-keys keys.json
  curl --data-binary @photo.jpg http://127.0.0.1:8080/v1/predict

exit codes: 0 stopped, 1 a fault of the service, 2 it was told something that it can't use,
4 a bundle is refused: changed, not signed with a trusted key, not for this device, expired, …
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; return the exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given == ["annotate"]:
        return _annotate()
    parser = _parser()
    told = parser.parse_args(given)
    if told.bundle is None:
        if alone := [name for name, value in vars(told).items() if value is not None]:
            parser.error(f"--{alone[0].replace('_', '-')} needs --bundle")
        return _follow()
    return _serve_pulled(told)


# Each way loads what it needs: without a network there is no client of RabbitMQ or S3.


def _follow() -> int:
    from inference.app import main as follow  # noqa: PLC0415
    from inference.settings import InferenceSettings  # noqa: PLC0415

    return serve("inference", InferenceSettings, follow, uvloop.new_event_loop)


def _annotate() -> int:
    from inference.annotating.app import annotate  # noqa: PLC0415
    from inference.annotating.settings import AnnotateSettings  # noqa: PLC0415

    return serve("inference-annotate", AnnotateSettings, annotate)


def _serve_pulled(told: argparse.Namespace) -> int:
    from inference.offline import Told, run  # noqa: PLC0415

    return run(Told(**{**vars(told), "bundle": tuple(told.bundle), "trusted_key": tuple(told.trusted_key or ())}))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="inference",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    pulled = parser.add_argument_group("without a network")
    pulled.add_argument(
        "--bundle",
        type=Path,
        action="append",
        metavar="DIR",
        help="a directory that `labelstream models pull` wrote; may stand once for each project",
    )
    pulled.add_argument(
        "--identity",
        type=Path,
        metavar="FILE",
        help="this device's age identity file, a plugin's will do (else LABELSTREAM_INFERENCE__DEVICE_IDENTITY)",
    )
    pulled.add_argument(
        "--trusted-key",
        type=Path,
        action="append",
        metavar="PUB",
        help="a public signing key (PEM) that is trusted; may stand several times "
        "(else LABELSTREAM_INFERENCE__TRUSTED_KEYS)",
    )
    pulled.add_argument("--host", help="where to listen (default 127.0.0.1; 0.0.0.0: on every network)")
    pulled.add_argument("--port", type=_port, help="default 8080; 0: any free one, which the log tells")
    who = pulled.add_mutually_exclusive_group()
    who.add_argument("--access", choices=["open"], help="open: everybody who reaches the address may ask")
    who.add_argument(
        "--api-keys", type=Path, metavar="FILE", help="who shows one of these keys may ask: a list as the exporter's"
    )
    return parser


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number < 1 << 16:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, and not {number}")
    return number
