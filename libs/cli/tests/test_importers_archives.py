"""Unpacking archives that strangers made."""

import gzip
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from PIL import Image

from labelstream.errors import Misconfigured
from labelstream_cli.importers import Problem, read_folder, unpacked
from labelstream_cli.importers.archives import Limits, is_archive, unpack

LINES = "0 0.5 0.5 0.2 0.4\n"


def a_jpeg() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (40, 20), (90, 120, 60)).save(data, "jpeg")
    return data.getvalue()


YOLO = {"images/a.jpg": a_jpeg(), "labels/a.txt": LINES.encode(), "classes.txt": b"car\n"}


@pytest.fixture
def make_zip(tmp_path: Path) -> Callable[..., Path]:
    def make(files: dict[str, bytes], **more: bytes) -> Path:
        path = tmp_path / "some.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in {**files, **more}.items():
                archive.writestr(name, data)
        return path

    return make


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "deep" / "below" / "root"
    root.mkdir(parents=True)
    return root


def files_below(path: Path) -> list[str]:
    return sorted(str(one.relative_to(path)) for one in path.rglob("*") if one.is_file())


def reasons(problems: Iterable[Problem]) -> dict[str, str]:
    return {one.name: one.reason for one in problems}


def test_a_zip_is_read_in_the_form_that_lies_in_it_however_deep(make_zip: Callable[..., Path]) -> None:
    path = make_zip({f"export/2024/{name}": data for name, data in YOLO.items()} | {"__MACOSX/export/._a.jpg": b"x"})

    with unpacked(path) as (folder, problems):
        read = read_folder(folder)
        assert (read.form, [one.name for one in read], len(read.images[0].boxes)) == ("YOLO", ["a"], 1)
        assert read.images[0].image_path.read_bytes() == YOLO["images/a.jpg"]
        assert problems == ()
    assert not folder.exists()


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"])
def test_a_tar_is_read_like_a_zip(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"some{suffix}"
    mode = {".tar": "w", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}.get(suffix, "w:gz")
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]  # the mode is one of its literals
        for name, data in YOLO.items():
            member = tarfile.TarInfo(f"export/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))

    assert is_archive(path)
    with unpacked(path) as (folder, problems):
        read = read_folder(folder)
        assert ([one.name for one in read], read.classes, problems) == (["a"], ("car",), ())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../out.jpg", "leads out of the archive"),
        ("images/../../../out.jpg", "leads out of the archive"),
        ("..\\out.jpg", "leads out of the archive"),
        ("/out.jpg", "absolute path"),
        ("\\out.jpg", "absolute path"),
        ("C:\\out.jpg", "absolute path"),
        ("c:out.jpg", "absolute path"),
        ("new\nline.jpg", "no printable text"),
        ("inner.zip", "archive within the archive"),
    ],
)
def test_entries_that_lead_elsewhere_are_left_out_and_the_others_are_taken(
    make_zip: Callable[..., Path], root: Path, tmp_path: Path, name: str, reason: str
) -> None:
    problems = unpack(make_zip({name: b"evil", **YOLO}), root)

    assert files_below(root) == sorted(YOLO)
    assert files_below(tmp_path) == sorted(["some.zip", *(f"deep/below/root/{one}" for one in YOLO)])
    (told,) = reasons(problems).values()
    assert reason in told


def test_a_name_that_is_cut_at_a_zero_byte_is_left_out(make_zip: Callable[..., Path], root: Path) -> None:
    path = make_zip({"imagesXa.jpg": b"evil", **YOLO})
    path.write_bytes(path.read_bytes().replace(b"imagesXa.jpg", b"images\0a.jpg"))

    problems = unpack(path, root)

    assert files_below(root) == sorted(YOLO)
    assert "no printable text" in next(iter(reasons(problems).values()))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_a_zip_are_left_out(tmp_path: Path, root: Path, kind: int) -> None:
    path = tmp_path / "some.zip"
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("images/passwd.txt")
        entry.external_attr = (kind | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")

    problems = unpack(path, root)

    assert files_below(root) == []
    assert ("link" if kind == stat.S_IFLNK else "device") in reasons(problems)["images/passwd.txt"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_left_out_and_nothing_is_written_through_them(
    tmp_path: Path, root: Path, kind: bytes
) -> None:
    path, elsewhere = tmp_path / "some.tar", tmp_path / "elsewhere"
    elsewhere.mkdir()
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("images")
        link.type, link.linkname = kind, str(elsewhere)
        archive.addfile(link)
        member = tarfile.TarInfo("images/a.jpg")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"data"))

    problems = unpack(path, root)

    assert list(elsewhere.iterdir()) == []
    assert files_below(root) == ["images/a.jpg"]
    assert "images" in reasons(problems)


def test_a_name_that_stands_twice_is_taken_once(tmp_path: Path, root: Path) -> None:
    path = tmp_path / "some.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "first")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.txt", "second")
        archive.writestr("a.txt/b.txt", "below a file")

    problems = unpack(path, root)

    assert (root / "a.txt").read_text() == "first"
    assert [one.name for one in problems] == ["a.txt", "a.txt/b.txt"]
    assert all("the first is taken" in one.reason for one in problems)


def test_an_encrypted_entry_is_left_out_and_says_what_to_do(make_zip: Callable[..., Path], root: Path) -> None:
    path = make_zip({"images/b.jpg": b"locked"})
    data = bytearray(path.read_bytes())
    data[6] |= 1  # the flag in the entry's own header
    data[data.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    path.write_bytes(data)

    problems = unpack(path, root)

    assert files_below(root) == []
    assert "is encrypted" in reasons(problems)["images/b.jpg"]
    assert "unpack it yourself" in reasons(problems)["images/b.jpg"]


def test_a_damaged_entry_is_left_out_and_leaves_no_half_file(make_zip: Callable[..., Path], root: Path) -> None:
    noise = os.urandom(5000)
    path = make_zip({"images/noise.jpg": noise, **YOLO})
    data = bytearray(path.read_bytes())
    at = data.index(noise[100:110])
    data[at : at + 4] = b"\0\0\0\0"
    path.write_bytes(data)

    problems = unpack(path, root)

    assert files_below(root) == sorted(YOLO)
    assert "can't be unpacked" in reasons(problems)["images/noise.jpg"]


def test_too_many_entries_are_refused(make_zip: Callable[..., Path], root: Path) -> None:
    path = make_zip({f"{number}.txt": b"" for number in range(11)})

    with pytest.raises(Misconfigured, match="more than 10 entries"):
        unpack(path, root, Limits(entries=10))


SMALL = Limits(size_bytes=200_000, ratio_from_bytes=50_000, ratio=10)


@pytest.mark.parametrize(
    ("content", "most"),
    [(os.urandom(250_000), "200,000"), (b"\0" * 60_000, "50,000")],
    ids=["too large", "shrinks too well"],
)
def test_bombs_are_refused_while_they_unpack(
    make_zip: Callable[..., Path], root: Path, content: bytes, most: str
) -> None:
    limits = Limits(size_bytes=200_000, ratio_from_bytes=50_000, ratio=10)

    with pytest.raises(Misconfigured, match="it unpacks to more than") as caught:
        unpack(make_zip({"a.txt": content}), root, limits)

    assert "unpack it yourself" in str(caught.value)
    assert sum(one.stat().st_size for one in root.rglob("*") if one.is_file()) <= int(most.replace(",", ""))


def test_a_bomb_whose_header_lies_about_its_size_writes_no_more_than_the_header_says(
    make_zip: Callable[..., Path], root: Path
) -> None:
    content = b"\0" * 5_000_000
    path = make_zip({"a.txt": content})
    size, small = len(content).to_bytes(4, "little"), (10).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, small))

    problems = unpack(path, root)

    assert files_below(root) == []
    assert "can't be unpacked" in reasons(problems)["a.txt"]


def test_a_tar_bomb_in_what_nobody_needs_is_refused(tmp_path: Path, root: Path) -> None:
    path = tmp_path / "some.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("nobody-needs-this.bin")
        member.size = 1_000_000
        archive.addfile(member, io.BytesIO(b"\0" * member.size))
        archive.addfile(tarfile.TarInfo("a.txt"))

    with pytest.raises(Misconfigured, match="unpacks to more than"):
        unpack(path, root, SMALL)


def test_a_tar_header_that_would_fill_the_memory_is_refused(tmp_path: Path, root: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 1 << 30
    path = tmp_path / "some.tar.gz"
    path.write_bytes(gzip.compress(header.tobuf() + b"\0" * 2048))

    with pytest.raises(Misconfigured, match="larger than any file name"):
        unpack(path, root)


def test_a_full_disk_is_said_before_it_is_full(make_zip: Callable[..., Path], root: Path) -> None:
    with pytest.raises(Misconfigured, match=r"the disk of .* is full"):
        unpack(make_zip(YOLO), root, Limits(spare_bytes=1 << 62))


@pytest.mark.parametrize("name", ["some.zip", "some.tar", "some.tar.gz", "some.tar.xz"])
def test_what_is_no_archive_is_refused(tmp_path: Path, root: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"these are not the bytes of an archive" * 50)

    with pytest.raises(Misconfigured, match="no archive that can be read"):
        unpack(tmp_path / name, root)


def test_a_torn_archive_is_refused(tmp_path: Path, make_zip: Callable[..., Path], root: Path) -> None:
    path = make_zip(YOLO)
    path.write_bytes(path.read_bytes()[:-30])

    with pytest.raises(Misconfigured, match="no archive that can be read, or is torn"):
        unpack(path, root)


def test_unpacked_twice_a_file_has_the_same_size_and_time(make_zip: Callable[..., Path]) -> None:
    path = make_zip(YOLO)

    def seen() -> list[tuple[int, int]]:
        with unpacked(path) as (folder, _):
            return [(one.stat().st_size, one.stat().st_mtime_ns) for one in sorted(folder.rglob("*.*"))]

    first = seen()
    assert first == seen()
    assert len({when for _, when in first}) == len(YOLO)
