"""Keys of age, as text: X25519, those that hardware holds (`age1tag1…`), and those of age's plugins.

A plugin is a program `age-plugin-NAME` on the PATH. `age1NAME1…` is sealed to where the plugin is installed, and
opened with `AGE-PLUGIN-NAME-1…` on the device that has the hardware: its private key never leaves it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pyrage

from labelstream.errors import Misconfigured, Rejected

SECRET = "AGE-SECRET-KEY-1"  # noqa: S105  how a private key begins
PLUGIN_SECRET = "AGE-PLUGIN-"  # noqa: S105  how a plugin's begins
_NATIVE = (pyrage.x25519.Recipient, pyrage.tag.Recipient, pyrage.tagpq.Recipient)


def new_identity() -> tuple[str, str]:
    """Make a key pair; return the private key (identity) and the public key (recipient)."""
    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def identities_in(text: str) -> tuple[str, ...]:
    """Return the private keys in an age identity file's text, in order. Raises Misconfigured when there is none."""
    lines = [line.strip() for line in text.splitlines()]
    keys = tuple(line for line in lines if line and not line.startswith("#"))
    if not keys:
        raise Misconfigured("an age identity file holds a private key in each line, but this one holds none")
    return keys


def identity_in(text: str) -> str:
    """Return the one private key in an age identity file's text. Raises Misconfigured."""
    keys = identities_in(text)
    if len(keys) != 1:
        raise Misconfigured(f"an age identity file holds one private key here, but this one holds {len(keys)}")
    return keys[0]


def recipient_of(identity: str) -> str:
    """Return the public key that belongs to a private key, or to the first of several. Raises Rejected."""
    first = identities_in(identity)[0]
    if first.startswith(PLUGIN_SECRET):
        raise Rejected(
            "seal.no_recipient_of_plugin",
            f"the public key of {_plugin_of(first)}'s private key is known to that plugin alone",
            "Take the public key (age1…) that it printed when it made the key",
        )
    return str(_x25519(first).to_public())


def check_recipient(text: str) -> None:
    """Raise Rejected when nothing can be sealed to this public key here: no key, or its plugin is missing."""
    recipients([text])


def identities(text: str) -> list[Any]:
    """Return the private keys in `text`, one a line, for pyrage. Raises Rejected, which never quotes them."""
    return [_identity(key) for key in identities_in(text)]


def names_of(text: str) -> str:
    """Say which private keys these are, without a secret: public keys, or plugins."""
    keys = identities_in(text)
    return ", ".join(_plugin_of(key) if key.startswith(PLUGIN_SECRET) else recipient_of(key) for key in keys)


def recipients(texts: Sequence[str]) -> list[Any]:
    """Return public keys for pyrage. Raises Rejected."""
    if not texts:
        raise Rejected("seal.no_recipient", "nothing can be sealed to nobody", "Name at least one public key")
    native: list[Any] = []
    plugins: dict[str, list[Any]] = defaultdict(list)
    for text in texts:
        key = _native_recipient(text.strip())
        if key is not None:
            native.append(key)
        else:
            recipient = _plugin_recipient(text)
            plugins[recipient.plugin()].append(recipient)
    return [*native, *(_sealing_plugin(name, keys) for name, keys in plugins.items())]


class _Nobody:
    """Answers a plugin that asks for somebody at the keyboard: nobody is there."""

    def display_message(self, _message: str) -> None:
        """Show nothing."""

    def confirm(self, _message: str, _yes: str, _no: str | None) -> bool | None:
        """Let the plugin do without."""
        return None

    def request_public_string(self, _description: str) -> str | None:
        """Let the plugin do without."""
        return None

    def request_passphrase(self, _description: str) -> str | None:
        """Let the plugin do without."""
        return None


def _native_recipient(text: str) -> Any | None:
    for kind in _NATIVE:
        try:
            return kind.from_str(text)
        except pyrage.RecipientError:
            continue
    return None


def _plugin_recipient(text: str) -> Any:
    if not text.strip().startswith("age1"):  # somebody may have given the private key: it is repeated nowhere
        raise Rejected("seal.bad_recipient", "what was given is no age public key", "A public key begins age1")
    try:
        return pyrage.plugin.Recipient.from_str(text.strip())
    except pyrage.RecipientError as error:
        raise Rejected("seal.bad_recipient", f"{text!r} is not an age public key: {error}", "It begins age1") from error


def _sealing_plugin(name: str, keys: Sequence[Any]) -> Any:
    try:
        return pyrage.plugin.RecipientPluginV1(name, keys, [], _Nobody())
    except pyrage.EncryptError as error:
        raise _no_plugin(name) from error


def _identity(text: str) -> Any:
    if not text.startswith(PLUGIN_SECRET):
        return _x25519(text)
    try:
        identity = pyrage.plugin.Identity.from_str(text)
    except pyrage.IdentityError as error:
        raise _bad_identity() from error
    try:
        return pyrage.plugin.IdentityPluginV1(identity.plugin(), [identity], _Nobody())
    except pyrage.DecryptError as error:
        raise _no_plugin(identity.plugin()) from error


def _x25519(text: str) -> Any:
    try:
        return pyrage.x25519.Identity.from_str(text)
    except pyrage.IdentityError as error:
        raise _bad_identity() from error


def _plugin_of(identity: str) -> str:
    try:
        return f"age-plugin-{pyrage.plugin.Identity.from_str(identity).plugin()}"
    except pyrage.IdentityError as error:
        raise _bad_identity() from error


def _bad_identity() -> Rejected:
    """Refuse a private key; neither the text nor what a parser says of it may reach a log."""
    return Rejected("seal.bad_identity", "this is not an age private key", f"It begins {SECRET} or {PLUGIN_SECRET}")


def _no_plugin(name: str) -> Rejected:
    return Rejected(
        "seal.no_plugin",
        f"the key needs the program age-plugin-{name}, which is not on the PATH here",
        f"Install age-plugin-{name}, or use an X25519 key",
    )
