"""Signing a directory in the OpenSSF model signing format, offline, with an ECDSA key.

The standard command checks the same directory:
`python -m model_signing verify key DIR --signature DIR/model.sig --public_key KEY.pub --no-ignore-git-paths`
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import model_signing
from cryptography.exceptions import InvalidSignature

from labelstream.errors import Misconfigured, Rejected
from labelstream.protection.signing_keys import fingerprint, load_private_key, load_public_key


def sign_directory(directory: Path, signature: Path, private_key: Path) -> None:
    """Sign every file below `directory` except `signature` itself, which lies directly in it."""
    load_private_key(private_key)  # says which setting is wrong, before the library does
    config = model_signing.signing.Config().use_elliptic_key_signer(private_key=private_key)
    config.set_hashing_config(_hashing(signature)).sign(directory, signature)


def verify_directory(directory: Path, signature: Path, public_keys: Sequence[Path]) -> dict[str, str]:
    """Check a directory against its signature; return the SHA-256 of each file as it was signed, by name.

    Any of `public_keys` may have signed. Raises Rejected: signature.missing, signature.foreign_key,
    signature.invalid when the signature itself does not hold, and NotAsSigned, which names the files: signature.link,
    signature.file_missing, signature.file_added, or signature.invalid when files were changed.
    """
    trusted = _trusted(public_keys)
    if not signature.is_file():
        raise Rejected("signature.missing", f"there is no {signature.name} in {directory.name}", "Fetch it again")
    signer = _signer(signature)
    if signer not in trusted:
        raise Rejected(
            "signature.foreign_key",
            f"{directory.name} was signed with the key {signer}, trusted are {sorted(trusted)}",
            "Add that public key to the trusted ones, if it is yours",
        )
    hashed = _Hashed(signature)
    config = model_signing.verifying.Config().use_elliptic_key_verifier(public_key=trusted[signer])
    try:
        config.set_hashing_config(hashed).verify(directory, signature)
    except InvalidSignature as error:
        raise _invalid(directory, f"{signature.name} does not fit the key and statement in it") from error
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:  # whatever a parser meets
        differences = hashed.differences(directory)
        if differences:
            raise NotAsSigned(directory, differences) from error
        raise _invalid(directory, f"{signature.name} is not a signature that can be checked") from error
    return hashed.digests


class Difference(NamedTuple):
    """A file that is not as it was signed."""

    rule: str
    file: str
    signed: str | None = None  # the digest that was signed

    def __str__(self) -> str:
        """Say it in words."""
        return f"{self.file} {_WORDS[self.rule]}"


CHANGED = "signature.invalid"
_WORDS = {  # the gravest first
    "signature.link": "is a link, not a file",
    "signature.file_missing": "is missing",
    "signature.file_added": "was added",
    CHANGED: "is not what was signed",
}


class NotAsSigned(Rejected):
    """The signature is good, but not of what lies in the directory."""

    def __init__(self, directory: Path, differences: Sequence[Difference]) -> None:
        """Refuse `directory`; the rule is that of the gravest difference, the reason names them all."""
        said = "; ".join(map(str, differences))
        rule = min((each.rule for each in differences), key=list(_WORDS).index)
        super().__init__(rule, f"{directory.name} can't be trusted: {said}", "Fetch it again")
        self.changed = {each.file: each.signed for each in differences if each.rule == CHANGED}


class _Hashed:
    """The library's hashing, which remembers what it found and lets no signature exempt a file."""

    def __init__(self, signature: Path) -> None:
        self._config = _hashing(signature)
        self._signature = signature
        self._begun = False
        self.digests: dict[str, str] = {}

    def hash(self, model_path: Path, *, files_to_hash: Iterable[Path] | None = None) -> Any:
        """Hash the directory; the library asks for it once the signature has proved to be good."""
        self._begun = True
        manifest = self._config.hash(model_path, files_to_hash=files_to_hash)
        self.digests = {each.identifier: each.digest.digest_hex for each in manifest.resource_descriptors()}
        return manifest

    def differences(self, directory: Path) -> list[Difference]:
        """Return what is not as it was signed; nothing when no good signature says how it was."""
        if not self._begun:
            return []
        links = sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_symlink())
        if links:  # nothing was hashed then
            return [Difference("signature.link", name) for name in links]
        signed = _statement(self._signature)
        return list(_differences(signed, self.digests)) if signed else []

    def add_ignored_paths(self, *, model_path: Path, paths: Iterable[str]) -> None:
        """Ignore nothing beyond the signature, whatever the signed statement says."""


def _hashing(signature: Path) -> Any:
    return model_signing.hashing.Config().set_ignored_paths(paths=[Path(signature.name)], ignore_git_paths=False)


def _trusted(public_keys: Sequence[Path]) -> dict[str, Path]:
    if not public_keys:
        raise Misconfigured("no public key is trusted, so no model can be: name at least one")
    return {fingerprint(load_public_key(path)): path for path in public_keys}


def _signer(signature: Path) -> str:
    """Return the fingerprint of the key that a signature says it was made with."""
    try:
        return str(json.loads(signature.read_bytes())["verificationMaterial"]["publicKey"]["hint"])
    except (ValueError, KeyError, TypeError) as error:
        raise _invalid(signature.parent, f"{signature.name} is not an OpenSSF signature that names its key") from error


def _statement(signature: Path) -> dict[str, str]:
    """Return the digests in the statement that is signed, by file name; none from a statement of another form."""
    try:
        statement = json.loads(base64.b64decode(json.loads(signature.read_bytes())["dsseEnvelope"]["payload"]))
        return {str(each["name"]): str(each["digest"]) for each in statement["predicate"]["resources"]}
    except (ValueError, KeyError, TypeError):
        return {}


def _differences(signed: dict[str, str], found: dict[str, str]) -> Iterator[Difference]:
    for name in sorted(signed.keys() | found.keys()):
        if name not in signed:
            yield Difference("signature.file_added", name)
        elif name not in found:
            yield Difference("signature.file_missing", name, signed[name])
        elif found[name] != signed[name]:
            yield Difference(CHANGED, name, signed[name])


def _invalid(directory: Path, reason: str) -> Rejected:
    return Rejected(CHANGED, f"{directory.name} can't be trusted: {reason}", "Fetch it again")
