"""What `make audit` finds, and that it never calls clean what it could not look at."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from audit import packages, secret_scan
from audit.__main__ import main
from audit.packages import Answer, NotAudited, accepted_in, pins_in, versions_apart
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pyrage import x25519

from labelstream.access import KeyToken

ROOT = Path(__file__).parents[2]
WEAK_NAME, WEAK_VERSION = packages.KNOWN_TO_BE_WEAK


def _told(*found: tuple[str, str, list[dict[str, Any]]]) -> dict[str, Any]:
    return {"dependencies": [{"name": name, "version": version, "vulns": vulns} for name, version, vulns in found]}


HOLE = {"id": "GHSA-1", "aliases": ["CVE-2026-1"], "fix_versions": ["2.0"], "description": "a hole"}
KNOWN = (WEAK_NAME, WEAK_VERSION, [HOLE])


def test_a_service_that_knows_no_weakness_at_all_is_not_believed() -> None:
    with pytest.raises(NotAudited, match="knows of no weakness"):
        Answer.of(_told(("ours", "1.0", []), (WEAK_NAME, WEAK_VERSION, [])))


def test_a_weakness_of_ours_is_told_with_every_name_and_what_mends_it() -> None:
    answer = Answer.of(_told(("ours", "1.0", [HOLE]), KNOWN))
    assert [str(one) for one in answer.weak] == ["ours 1.0: CVE-2026-1, GHSA-1; fixed in 2.0"]
    assert answer.asked == 1


def test_a_package_that_the_service_does_not_know_is_named() -> None:
    told = _told(("ours", "1.0", []), KNOWN)
    told["dependencies"].append({"name": "rare", "skip_reason": "not found"})
    assert Answer.of(told).unknown == ("rare",)


def test_pins_are_read_without_markers_and_comments() -> None:
    assert pins_in("# a comment\na==1.0\nb==2 ; sys_platform == 'linux'\n-e libs/common\nc\n") == ["a==1.0", "b==2"]


def test_what_is_asked_at_once_has_one_version_of_each_package() -> None:
    pins = sorted(
        {pin for name in packages.LISTS if (ROOT / name).exists() for pin in pins_in((ROOT / name).read_text())}
    )
    groups = versions_apart(pins)
    assert sorted(pin for group in groups for pin in group) == pins
    for group in groups:
        names = [pin.partition("==")[0].lower() for pin in (*group, "==".join(packages.KNOWN_TO_BE_WEAK))]
        assert len(set(names)) == len(names)


def test_what_is_accepted_has_a_reason() -> None:
    assert accepted_in("# head\n\nGHSA-1  its server is not used\n") == {"GHSA-1": "its server is not used"}
    assert all(accepted_in((ROOT / packages.ACCEPTED).read_text()).values())


def test_every_list_of_pins_is_asked_about() -> None:
    lists = {path.name for form in ("constraints*.txt", "requirements-*.txt") for path in ROOT.glob(form)}
    assert lists - {"requirements-dev.txt"} == set(packages.LISTS)


@dataclass
class Advisories:
    """A service that speaks as OSV does."""

    weak: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        name, version = question["package"]["name"], question["version"]
        self.asked.append(f"{name}=={version}")
        return {"vulns": self.weak[name, version]} if (name, version) in self.weak else {}


def _hole_of(name: str, id_: str) -> dict[str, Any]:
    affected = {"package": {"name": name, "ecosystem": "PyPI"}, "versions": [], "ranges": [
        {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0"}]}]}  # fmt: skip
    return {"id": id_, "aliases": [], "affected": [affected], "summary": "a hole", "published": "2026-01-01T00:00:00Z"}


@pytest.fixture
def advisories() -> Iterator[tuple[str, Advisories]]:
    """The address of such a service, and what it knows."""
    service = Advisories({(WEAK_NAME, WEAK_VERSION): [_hole_of(WEAK_NAME, "GHSA-known")]})

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["content-length"])))
            body = json.dumps(service.answer(question)).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query", service
    server.shutdown()
    thread.join()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two pinned packages."""
    (tmp_path / "constraints.txt").write_text("click==8.1.7\nidna==3.7\n")
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "accepted.txt").write_text("# none\n")
    return tmp_path


def test_pip_audit_asks_the_service_for_every_pin(
    project: Path,
    advisories: tuple[str, Advisories],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    address, service = advisories
    monkeypatch.setenv(packages.SERVICE, address)
    assert packages.report(project) == 0
    assert service.asked[0] == f"{WEAK_NAME}=={WEAK_VERSION}"
    assert set(service.asked) == {"click==8.1.7", "idna==3.7", service.asked[0]}
    assert "2 asked for, 0 weaknesses" in capsys.readouterr().out


def test_lists_may_pin_a_package_in_two_versions(
    project: Path,
    advisories: tuple[str, Advisories],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    address, service = advisories
    (project / "requirements-mlflow.txt").write_text("click==8.1.7\nidna==3.10\n")
    service.weak["idna", "3.7"] = [_hole_of("idna", "GHSA-ours")]
    monkeypatch.setenv(packages.SERVICE, address)
    assert packages.report(project) == 1
    assert {"idna==3.7", "idna==3.10"} <= set(service.asked)
    assert "3 asked for, 1 weaknesses" in capsys.readouterr().out


def test_a_weak_pin_fails_until_it_is_accepted(
    project: Path,
    advisories: tuple[str, Advisories],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    address, service = advisories
    service.weak["idna", "3.7"] = [_hole_of("idna", "GHSA-ours")]
    monkeypatch.setenv(packages.SERVICE, address)
    assert packages.report(project) == 1
    assert "idna 3.7: GHSA-ours; fixed in 99.0" in capsys.readouterr().out
    (project / "audit" / "accepted.txt").write_text("GHSA-ours  not reachable from outside\n")
    assert packages.report(project) == 0
    assert "0 weaknesses, 1 accepted" in capsys.readouterr().out


def test_without_a_service_it_says_that_nothing_was_audited(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(packages.SERVICE, "http://127.0.0.1:9/v1/query")
    assert packages.report(project) == 3
    assert "packages: NOT AUDITED, of 2" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "code"), [([], 3), (["--offline-is-fine"], 0)], ids=["strict", "offline"])
def test_only_who_allows_it_goes_on_without_a_service(
    arguments: list[str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(packages.SERVICE, "http://127.0.0.1:9/v1/query")
    assert main(["packages", *arguments]) == code
    assert "NOT AUDITED" in capsys.readouterr().out


def _planted() -> dict[str, str]:
    """Name of a file → a line with a secret of that kind, made now: none stands in this file."""
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "identity.txt": str(x25519.Identity.generate()),
        "api.env": f"LABELSTREAM_API_KEY={KeyToken.new().text}",
        "signing.pem": Ed25519PrivateKey.generate().private_bytes(*form).decode(),
        "cloud.py": "key = 'AKIA" + "Q7M2XK4PZN8RT5VW" + "'",
        "broker.yml": "url: amqp://user:" + "9f8s7dKx2m" + "@broker:5672",
    }


def test_secrets_of_every_kind_are_found_by_file_and_line_and_never_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    baseline = json.loads((ROOT / secret_scan.BASELINE).read_text()) | {"results": {}}
    (tmp_path / secret_scan.BASELINE).write_text(json.dumps(baseline))
    (tmp_path / "harmless.py").write_text("name = 'labelstream'\n")
    for name, line in _planted().items():
        (tmp_path / name).write_text(f"first line\n{line}\n")
    assert secret_scan.report(tmp_path) == 1
    said = capsys.readouterr().out
    for name in _planted():
        assert f"{name}:2: " in said, name
    assert "harmless.py" not in said
    for name in _planted():
        secret = (tmp_path / name).read_text().split()[-1]
        assert secret not in said


def test_what_was_judged_harmless_is_not_told_again_and_another_secret_there_is(tmp_path: Path) -> None:
    baseline = json.loads((ROOT / secret_scan.BASELINE).read_text())
    [name] = [name for name in baseline["results"] if name.endswith("delivery/world.py")]
    text = (ROOT / name).read_text()
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text(text)
    assert secret_scan.found_in(tmp_path, [name], baseline) == []
    (tmp_path / name).write_text(text + "PASS" + "WORD = 'of somebody else'\n")
    assert len(secret_scan.found_in(tmp_path, [name], baseline)) == 1


def test_the_baseline_itself_is_not_searched() -> None:
    assert str(secret_scan.BASELINE) not in secret_scan.tracked(ROOT)


def test_everything_in_the_baseline_was_judged_harmless() -> None:
    known = json.loads((ROOT / secret_scan.BASELINE).read_text())["results"]
    assert all(one["is_secret"] is False for ones in known.values() for one in ones)


def test_the_baseline_works_in_every_checkout() -> None:
    plugins = json.loads((ROOT / secret_scan.BASELINE).read_text())["plugins_used"]
    (own,) = [plugin["path"].removeprefix("file://") for plugin in plugins if "path" in plugin]
    assert not Path(own).is_absolute()
    assert (ROOT / own).is_file()


def test_continuous_integration_searches_this_repository() -> None:
    assert "make audit" in (ROOT / ".ci" / "run").read_text()
