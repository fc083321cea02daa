"""Videos: frames in order with their times, what is damaged, and what is refused."""

from __future__ import annotations

import json

import pytest

from .clips import corner, sound, timed, written

VIDEO = "/v1/video"


@pytest.fixture
async def client(world):
    """A client of a replica with small limits."""
    await world.promote("m1", 1)
    limits = {"max_video_frames": 500, "max_video_s": 100, "max_video_pixels": 300_000, "max_video_bytes": 5_000_000}
    async with world.replica(**limits) as client:
        await world.heard()
        yield client


def told(response) -> tuple[list[dict], dict]:
    """The lines of a streamed answer, and its summary."""
    assert response.status_code == 200, response.text
    *lines, last = [json.loads(line) for line in response.text.splitlines()]
    return lines, last["summary"]


def refused(response, status: int, rule: str) -> str:
    """The reason of a problem that a response must be."""
    assert (response.status_code, response.json()["rule"]) == (status, rule), response.text
    return response.json()["detail"]


@pytest.mark.parametrize(("name", "code"), [("a.avi", "MJPG"), ("a.mp4", "mp4v"), ("a.mkv", "mp4v")])
async def test_every_frame_is_answered_in_order_with_its_time(client, tmp_path, name, code) -> None:
    lines, summary = told(await client.post(VIDEO, content=written(tmp_path / name, 20, code)))
    assert [(each["frame"], each["time_s"]) for each in lines] == [(i, pytest.approx(i / 10)) for i in range(20)]
    for number, line in enumerate(lines):
        (found,) = line["detections"]
        assert (found["box"]["x1"], found["box"]["y1"]) == pytest.approx(corner(number))
    assert lines[0]["image"] == {"width": 64, "height": 64}
    assert (summary["frames"], summary["answered"], summary["failed"], summary["complete"]) == (20, 20, 0, True)


async def test_a_form_and_a_body_get_the_same_answer(client, tmp_path) -> None:
    clip = written(tmp_path / "a.avi", 3)
    raw, _ = told(await client.post(VIDEO, content=clip))
    form, _ = told(await client.post(VIDEO, files={"film": ("a.avi", clip)}, data={"note": "none"}))
    assert [each["detections"] for each in raw] == [each["detections"] for each in form]
    two = {"a": ("a.avi", clip), "b": ("b.avi", clip)}
    refused(await client.post(VIDEO, files=two), 400, "request.malformed")


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("every=4", [0, 4, 8, 12, 16]),
        ("from_s=1&to_s=1.5", [10, 11, 12, 13, 14]),
        ("from_s=0.95&every=5", [10, 15]),
        ("max_frames=2", [0, 1]),
        ("every=3&max_frames=3&from_s=0.2", [3, 6, 9]),
        ("from_s=1.8&to_s=99", [18, 19]),
    ],
)
@pytest.mark.parametrize(("codec", "name"), [("mpeg4", "a.mp4"), ("libx264", "a.mp4"), ("libx264", "a.ts")])
async def test_a_part_is_chosen_by_number_and_time(client, tmp_path, query, numbers, codec, name) -> None:
    clip = timed(tmp_path / name, [100 * i for i in range(20)], codec)
    lines, summary = told(await client.post(f"{VIDEO}?{query}", content=clip))
    assert [each["frame"] for each in lines] == numbers
    for line in lines:
        x, y = corner(line["frame"])
        (found,) = line["detections"]
        assert (round(found["box"]["x1"]), round(found["box"]["y1"])) == (x, y)
    assert summary["complete"]


async def test_times_are_those_of_the_container_when_frames_come_unevenly(client, tmp_path) -> None:
    times = [0, 40, 500, 520, 2000, 2001]
    lines, _ = told(await client.post(VIDEO, content=timed(tmp_path / "a.mkv", times)))
    assert [each["time_s"] for each in lines] == [pytest.approx(time / 1000) for time in times]


async def test_server_sent_events_tell_the_same(client, tmp_path) -> None:
    clip = written(tmp_path / "a.avi", 3)
    response = await client.post(f"{VIDEO}?every=2", content=clip, headers={"accept": "text/event-stream"})
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [dict(line.split(": ", 1) for line in event.split("\n")) for event in response.text.strip().split("\n\n")]
    assert [(each.get("id"), each["event"]) for each in events] == [("0", "frame"), ("2", "frame"), (None, "summary")]
    assert json.loads(events[1]["data"])["time_s"] == pytest.approx(0.2)
    assert json.loads(events[2]["data"])["summary"]["answered"] == 2


async def test_the_frames_before_the_damage_are_answered_then_it_is_told(client, tmp_path) -> None:
    clip = timed(tmp_path / "a.mp4", [100 * i for i in range(40)], "mjpeg", movflags="faststart")
    *lines, problem = told(await client.post(VIDEO, content=clip[: len(clip) * 6 // 10]))[0]
    assert [each["frame"] for each in lines] == list(range(len(lines)))
    assert 10 < len(lines) < 30
    assert problem["problem"]["rule"] == "video.damaged"
    assert "40 frames" in problem["problem"]["detail"]


async def test_a_cut_video_whose_end_nobody_asked_for_is_complete(client, tmp_path) -> None:
    clip = timed(tmp_path / "a.mp4", [100 * i for i in range(40)], "mjpeg", movflags="faststart")
    lines, summary = told(await client.post(f"{VIDEO}?max_frames=3", content=clip[: len(clip) * 6 // 10]))
    assert len(lines) == 3
    assert summary["complete"]


async def test_what_can_not_be_decoded_is_left_out_and_told(client, tmp_path) -> None:
    clip = bytearray(timed(tmp_path / "a.mkv", [100 * i for i in range(20)], "mjpeg"))
    begins = [at for at in range(len(clip) - 1) if clip[at : at + 2] == b"\xff\xd8"]
    length = begins[8] - begins[7] - 40
    clip[begins[7] : begins[7] + length] = bytes(length)
    *lines, problem = told(await client.post(VIDEO, content=bytes(clip)))[0]
    assert [each["frame"] for each in lines] == [number for number in range(20) if number != 7]
    assert problem["problem"]["rule"] == "video.damaged"
    assert "number 7" in problem["problem"]["detail"]


async def test_what_is_no_video_is_refused(client, tmp_path) -> None:
    refused(await client.post(VIDEO, content=b""), 400, "video.empty")
    refused(await client.post(VIDEO, content=b"this is text, and no video at all"), 415, "video.unknown_format")
    refused(await client.post(VIDEO, content=sound(tmp_path / "a.mp4")), 422, "video.no_video")
    unfinished = written(tmp_path / "b.mp4", 10, "mp4v")
    refused(await client.post(VIDEO, content=unfinished[: len(unfinished) // 2]), 422, "video.damaged")


async def test_a_list_of_files_or_addresses_is_no_video(client, tmp_path) -> None:
    clip = tmp_path / "a.avi"
    written(clip, 3)
    for text in (f"ffconcat version 1.0\nfile '{clip}'\n", f"#EXTM3U\n#EXTINF:10,\nfile://{clip}\n#EXT-X-ENDLIST\n"):
        refused(await client.post(VIDEO, content=text.encode()), 415, "video.unknown_format")


async def test_too_much_of_a_video_is_refused(client, tmp_path) -> None:
    large = timed(tmp_path / "large.avi", [0], "mjpeg", (1024, 512))
    assert "1024 × 512" in refused(await client.post(VIDEO, content=large), 413, "video.too_many_pixels")
    long = timed(tmp_path / "long.mkv", [0, 1000, 200_000])
    assert "200.0 s" in refused(await client.post(VIDEO, content=long), 413, "video.too_long")
    assert len(told(await client.post(f"{VIDEO}?to_s=50", content=long))[0]) == 2
    many = timed(tmp_path / "many.mkv", list(range(600)))
    refused(await client.post(VIDEO, content=many), 413, "video.too_many_frames")
    refused(await client.post(VIDEO, content=bytes(6_000_000)), 413, "video.too_large")


async def test_a_frame_larger_than_its_container_says_is_refused(client, tmp_path) -> None:
    clip = timed(tmp_path / "a.mkv", [0], "mjpeg", (1024, 512))
    small = clip.replace(b"\xb0\x82\x04\x00", b"\xb0\x82\x00\x40").replace(b"\xba\x82\x02\x00", b"\xba\x82\x00\x40")
    assert small != clip
    response = await client.post(VIDEO, content=small)
    assert response.status_code in (413, 422)
    assert response.json()["rule"] in ("video.too_many_pixels", "video.damaged")


async def test_a_part_without_frames_is_refused(client, tmp_path) -> None:
    clip = written(tmp_path / "a.avi", 10)
    assert "0.900 s" in refused(await client.post(f"{VIDEO}?from_s=5", content=clip), 422, "video.part_empty")
    refused(await client.post(f"{VIDEO}?from_s=0.05&to_s=0.06", content=clip), 422, "video.part_empty")


@pytest.mark.parametrize("query", ["every=0", "from_s=-1", "from_s=2&to_s=1", "to_s=0", "max_frames=0", "every=x"])
async def test_a_wrong_wish_is_refused_before_the_video_is_read(client, query) -> None:
    refused(await client.post(f"{VIDEO}?{query}", content=b"never read"), 422, "parameter.invalid")


async def test_a_turned_video_is_shown_upright(client, tmp_path) -> None:
    import av  # noqa: PLC0415 -- only here

    plain = tmp_path / "a.mp4"
    timed(plain, [0, 100], "mpeg4", (128, 64))
    with av.open(str(plain)) as source, av.open(str(tmp_path / "b.mp4"), "w") as turned:
        stream = turned.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(90) if hasattr(stream, "set_display_rotation") else pytest.skip("can't be written")
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                turned.mux(packet)
    lines, _ = told(await client.post(VIDEO, content=(tmp_path / "b.mp4").read_bytes()))
    assert lines[0]["image"] == {"width": 64, "height": 128}
