"""METADATA out of wheels that are whole, far away, broken or hostile."""

import io
import random
import zipfile
from collections.abc import Callable

import pytest

from mirror.plugin.metadata import wheel
from tests.support.dists import Dist, archive, broken_wheel
from tests.support.dists import wheel as make_wheel

PLAIN = make_wheel("my-demo", "1.0", requires=["other"], padding=200_000)


def _fetching(dist: Dist) -> tuple[Callable[[int, int], bytes], list[tuple[int, int]]]:
    """A server of ranges, and what it was asked."""
    asked: list[tuple[int, int]] = []

    def fetch(start: int, stop: int) -> bytes:
        asked.append((start, stop))
        return dist.content[start:stop]

    return fetch, asked


def _read_far(dist: Dist, tail: int) -> tuple[bytes, list[tuple[int, int]]]:
    fetch, asked = _fetching(dist)
    far = wheel.remote(len(dist.content), dist.content[-tail:], fetch)
    return wheel.read_metadata(far, dist.filename), asked


def test_metadata_of_a_wheel_that_is_here() -> None:
    """Uploads and cached wheels."""
    assert wheel.read_metadata(io.BytesIO(PLAIN.content), PLAIN.filename) == PLAIN.metadata


def test_the_end_of_a_usual_wheel_is_enough() -> None:
    """One request per wheel is what makes a resolution fast."""
    assert _read_far(PLAIN, 4096) == (PLAIN.metadata, [])


def test_a_wheel_with_thousands_of_files_takes_one_more_request() -> None:
    """The directory alone is larger than what is asked for first; METADATA comes along with it."""
    files = {f"many/{number:05}.py": random.Random(number).randbytes(20) for number in range(4000)}  # noqa: S311
    info = "many-1.0.dist-info"
    metadata = b"Metadata-Version: 2.1\nName: many\nVersion: 1.0\n\n"
    record = random.Random(1).randbytes(150_000)  # noqa: S311
    content = archive({**files, f"{info}/METADATA": metadata, f"{info}/RECORD": record})
    found, asked = _read_far(Dist("many-1.0-py3-none-any.whl", content, metadata), 32 * 1024)
    assert found == metadata
    assert len(asked) == 1


def test_metadata_at_the_beginning_of_a_large_wheel_is_found() -> None:
    """Some build tools write the .dist-info folder first; the middle is not read."""
    first = make_wheel("demo", "1.0", padding=3_000_000, data_first=False)
    found, asked = _read_far(first, 32 * 1024)
    assert found == first.metadata
    assert sum(stop - start for start, stop in asked) < 100_000


def test_a_large_metadata_far_before_the_directory_is_read_to_its_end() -> None:
    """A part that was fetched for its beginning must not hide that the rest is missing (fonttools 4.68)."""
    metadata = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n\n" + random.Random(1).randbytes(60_000)  # noqa: S311
    large = random.Random(2).randbytes(200_000)  # noqa: S311
    info = "demo-1.0.dist-info/METADATA"
    content = archive({"demo/before": large, info: metadata, "demo/after": large})
    dist = Dist("demo-1.0-py3-none-any.whl", content, metadata)
    found, asked = _read_far(dist, 10_000)
    assert found == metadata
    assert len(asked) == 2


def test_zip64_directories_are_read() -> None:
    """Wheels over 4 GB have them; writers may use them for any size."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for number in range(66_000):  # more than a plain directory can count
            file.writestr(zipfile.ZipInfo(f"{number}"), b"")
        file.writestr("demo-1.0.dist-info/METADATA", PLAIN.metadata.replace(b"my-demo", b"demo"))
    found, _ = _read_far(Dist("demo-1.0-py3-none-any.whl", buffer.getvalue(), b""), 32 * 1024)
    assert b"Name: demo" in found


@pytest.mark.parametrize("fault", ["garbage", "no-metadata", "two-metadata", "cut", "bomb"])
def test_a_broken_wheel_is_called_broken_here_and_far_away(fault: str) -> None:
    """What is not called broken would be advertised."""
    dist = broken_wheel("demo", "1.0", fault)
    with pytest.raises(wheel.BrokenWheelError):
        wheel.read_metadata(io.BytesIO(dist.content), dist.filename)
    with pytest.raises(wheel.BrokenWheelError):
        _read_far(dist, 2048)


@pytest.mark.parametrize(
    "stated",
    [
        b"Name: other\nVersion: 1.0\n\n",
        b"Version: 1.0\n\n",
        b"Name: demo\n\nVersion: 1.0\n",
        b"",
        b"\xff\xfe",
    ],
)
def test_metadata_that_clients_would_refuse_counts_as_broken(stated: bytes) -> None:
    """pip and uv stop with an error when the metadata is about another project."""
    dist = make_wheel("demo", "1.0", stated_metadata=stated or b"\n")
    with pytest.raises(wheel.BrokenWheelError):
        wheel.read_metadata(io.BytesIO(dist.content), dist.filename)


def test_names_are_compared_normalised() -> None:
    """PEP 503; older build tools write names as their authors did."""
    dist = make_wheel(
        "my-demo",
        "1.0",
        stated_metadata=b"Metadata-Version: 2.1\r\nname: My.Demo\r\nversion: 1.0\r\n\r\nText",
    )
    assert wheel.read_metadata(io.BytesIO(dist.content), dist.filename).startswith(b"Metadata")


def test_a_server_cannot_make_us_read_without_end() -> None:
    """A directory that claims to be a gigabyte large is not fetched."""
    end = bytearray(PLAIN.content[-22:])
    end[12:16] = (1 << 29).to_bytes(4, "little")
    size = 1 << 30
    end[16:20] = (size - 22 - (1 << 29)).to_bytes(4, "little")
    with pytest.raises(wheel.BrokenWheelError, match="would have to be read"):
        wheel.read_metadata(
            wheel.remote(size, bytes(end), lambda start, stop: bytes(stop - start)),
            "demo-1-py3-none-any.whl",
        )


def test_any_garbage_is_broken_and_nothing_else() -> None:
    """An exception of another kind would be an answer with status 500."""
    chance = random.Random(20261120)  # noqa: S311  # the same garbage at each run
    small = make_wheel("demo", "1.0")
    for _ in range(3000):
        content = bytearray(small.content)
        for _ in range(chance.randint(1, 12)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        if chance.random() < 0.3:
            del content[chance.randrange(len(content)) :]
        try:
            found = wheel.read_metadata(io.BytesIO(bytes(content)), small.filename)
        except wheel.BrokenWheelError:
            continue
        assert found == small.metadata


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
@pytest.mark.parametrize("is_broken", [True, False])
def test_metadata_by_a_method_that_nobody_uses_is_broken(method: int, *, is_broken: bool) -> None:
    """zipfile unpacks it without a limit, 300 bytes to 800 MB; its errors were answers with status 500."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        file.writestr("demo-1.0.dist-info/METADATA", b"Name: demo\nVersion: 1.0\n\n")
    content = bytearray(buffer.getvalue())
    at = content.index(b"METADATA") + len(b"METADATA")
    if is_broken:
        content[at + 9 : at + 17] = b"x" * 8
    with pytest.raises(wheel.BrokenWheelError, match="another method than deflate"):
        wheel.read_metadata(io.BytesIO(bytes(content)), "demo-1.0-py3-none-any.whl")
