"""A plugin of age for tests, `age-plugin-tiny`: speaks recipient-v1 and identity-v1 on its standard streams.

Its "hardware" is a file that holds the device's public key, named by TINY_HARDWARE: it guards nothing, and shows that
sealing needs the public key alone, and opening the device.
"""

import base64
import hashlib
import os
import sys
from pathlib import Path


def read_stanza():
    head = sys.stdin.readline().split()
    body = ""
    while True:
        line = sys.stdin.readline().rstrip("\n")
        body += line
        if len(line) < 64:
            break
    return head[1], head[2:], base64.b64decode(body + "=" * (-len(body) % 4))


def write_stanza(kind, *arguments, body=b""):
    text = base64.b64encode(body).decode().rstrip("=")
    lines = [text[at : at + 64] for at in range(0, len(text) + 1, 64)]  # the last line is shorter than 64, maybe empty
    sys.stdout.write("\n".join([f"-> {' '.join((kind, *map(str, arguments)))}", *lines]) + "\n")
    sys.stdout.flush()


def said():
    """Yield what age says until it is done."""
    while True:
        kind, arguments, body = read_stanza()
        if kind == "done":
            return
        yield kind, arguments, body


def mask(recipient, file_key):
    return bytes(a ^ b for a, b in zip(file_key, hashlib.sha256(recipient.encode()).digest(), strict=False))


def name_of(recipient):
    return hashlib.sha256(b"name of " + recipient.encode()).hexdigest()[:16]


def wrap():
    recipients, file_keys = [], []
    for kind, arguments, body in said():
        if kind == "add-recipient":
            recipients.append(arguments[0])
        elif kind == "wrap-file-key":
            file_keys.append(body)
    for at, file_key in enumerate(file_keys):
        for recipient in recipients:
            write_stanza("recipient-stanza", at, "tiny", name_of(recipient), body=mask(recipient, file_key))
            read_stanza()
    write_stanza("done")


def unwrap():
    device = Path(os.environ["TINY_HARDWARE"]).read_text().strip()
    for kind, arguments, body in list(said()):
        if kind == "recipient-stanza" and arguments[1:] == ["tiny", name_of(device)]:
            write_stanza("file-key", arguments[0], body=mask(device, body))
            read_stanza()
    write_stanza("done")


if __name__ == "__main__":
    {"--age-plugin=recipient-v1": wrap, "--age-plugin=identity-v1": unwrap}[sys.argv[1]]()
