"""Every way to name a corpus, and the message of every one that cannot be read."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgernn.data.text import python_docs, source
from edgernn.data.text.source import open_source
from edgernn.errors import DataError, EdgernnError, StorageError, UsageError


def read(data: Path | str, glob: str = "**/*.txt") -> str:
    with open_source(str(data), glob=glob) as opened:
        first = "".join(opened.chunks())
        assert "".join(opened.chunks()) == first
    return first


def test_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "input.txt"
    path.write_bytes("one\r\ntw\u00f6\rthree\n\n".encode())
    assert read(path) == "one\r\ntw\u00f6\rthree\n\n"
    assert open_source(str(path)).name == "input.txt"


def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "input.txt"
    path.write_bytes(b"\xef\xbb\xbfa\xef\xbb\xbf")
    assert read(path) == "a\ufeff"


ANY_TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"))
MARKED_TEXT = st.text(alphabet="\ufeffa\U0001f600")


@given(text=ANY_TEXT | MARKED_TEXT, block=st.integers(1, 9))
def test_characters_may_span_the_blocks(text: str, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "_READ_BYTES", block)
        chunks = list(source._read_text(io.BytesIO(text.encode()), "x"))
    assert "".join(chunks) == text.removeprefix("\ufeff")
    assert max(map(len, chunks), default=0) <= block + 3


def test_a_large_file_comes_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "input.txt"
    path.write_text("\u65e5\u672c\n" * 500_000, "utf-8")
    lengths = [len(chunk) for chunk in open_source(str(path)).chunks()]
    assert sum(lengths) == 1_500_000
    assert max(lengths) <= 1 << 20


def test_a_folder_joins_its_files_in_order(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name, text in {
        "b.txt": "B",
        "a.txt": "A\n",
        "sub/c.txt": "C",
        "sub/empty.txt": "",
        "z.md": "Z",
    }.items():
        (tmp_path / name).write_text(text)
    assert read(tmp_path) == "A\nB\nC"
    assert read(tmp_path, "*.md") == "Z"
    assert open_source(str(tmp_path)).name == f"{tmp_path.name}/**/*.txt"


def test_the_built_in_corpus() -> None:
    with open_source("python-docs") as opened:
        assert opened.name == "python-docs"
        assert next(opened.chunks()) == next(python_docs.read_chunks())


def test_standard_input_is_copied_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"typed\n")))
    with open_source("-") as opened:
        assert opened.name == "standard input"
        assert "".join(opened.chunks()) == "".join(opened.chunks()) == "typed\n"
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_copied_too(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"piped\n",))
    writer.start()
    assert read(path) == "piped\n"
    writer.join()


FULL_DISK = """
import resource, sys
from edgernn.data.text.source import open_source
from edgernn.errors import StorageError
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    open_source("-")
except StorageError as error:
    print(error)
"""


def test_standard_input_larger_than_the_disk(tmp_path: Path) -> None:
    packages = str(Path(source.__file__).parents[2])
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": packages}
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK],
        input=b"x" * 5000,
        capture_output=True,
        env=environment,
        check=True,
    )
    assert done.stdout.startswith(
        b"could not copy standard input to a temporary file: File too large; free some space"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_broken_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Broken()))
    with pytest.raises(StorageError, match="could not copy standard input"):
        open_source("-")


def message(data: Path | str, kind: type[EdgernnError] = DataError, glob: str = "**/*.txt") -> str:
    with pytest.raises(kind) as caught:
        read(data, glob)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_nothing_there(tmp_path: Path) -> None:
    assert message(tmp_path / "absent.txt") == (
        f"cannot read the corpus {tmp_path / 'absent.txt'}: No such file or directory; "
        "give a UTF-8 text file, a folder of them, - for standard input, or one of what is built "
        "in: python-docs, python-sources, counting-ab, counting-abc"
    )
    assert "named by an empty text" in message("", UsageError)


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "input.txt"
    for content in (b"", b"\xef\xbb\xbf"):
        path.write_bytes(content)
        assert message(path).startswith("the corpus input.txt is empty; give a UTF-8 text file")


def test_a_folder_without_a_matching_file(tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    assert message(tmp_path) == (
        f"the folder {tmp_path} has no file that matches '**/*.txt'; give another folder or --glob"
    )
    assert "the glob '/*.txt' is no relative pattern" in message(tmp_path, UsageError, "/*.txt")


def test_a_binary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_READ_BYTES", 4)
    path = tmp_path / "input.txt"
    path.write_bytes(b"text\xc3\xa9 \0 more")
    assert message(path).startswith(f"{path} has a NUL byte at offset 7, so it is no plain text; ")


def test_a_picture_is_not_sent_to_iconv(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    assert message(tmp_path / "p.txt").startswith(
        f"{tmp_path / 'p.txt'} has a NUL byte at offset 8, so it is no plain text; "
    )


@pytest.mark.parametrize("block", [1, 4, 5, 6, 100])
@pytest.mark.parametrize(
    ("content", "offset", "byte"),
    [(b"ok \xc3\xa9 \xe9t\xe9", 6, "e9"), (b"\xef\xbb\xbfcaf\xe9", 6, "e9"), (b"\xffa", 0, "ff")],
)
def test_a_file_that_is_not_utf8(
    content: bytes,
    offset: int,
    byte: str,
    block: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(source, "_READ_BYTES", block)
    path = tmp_path / "input.txt"
    path.write_bytes(content)
    assert message(path) == (
        f"{path} is not UTF-8: byte 0x{byte} at offset {offset}; convert it from the encoding "
        "that it was saved in, for example, where that is latin1, with: iconv -f latin1 -t "
        "utf-8 FILE > NEW"
    )


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "input.txt"
    path.write_text("text")

    def refuse(self: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert message(path).startswith(f"cannot read {path}: Permission denied; ")


@pytest.mark.parametrize(
    "text", ["The quick brown fox\n" * 300, "\u0411\u044b\u043b \u0434\u043e\u043c.\n" * 300]
)
@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]
)
@pytest.mark.parametrize("block", [100, 1 << 20])
def test_wide_text_is_named_as_what_it_is(
    text: str, encoding: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_READ_BYTES", block)
    path = tmp_path / "input.txt"
    path.write_bytes(text.encode(encoding))
    if "\u0411" in text and encoding in {"utf-16-le", "utf-16-be"}:
        return  # without a mark, letters that are not Latin have no zeros to tell by
    name = encoding.replace("-le", "le").replace("-be", "be")
    told = (
        f"is {encoding[:6].upper()}, expected UTF-8; convert it with: iconv -f {name} -t utf-8 "
        "FILE > NEW"
    )
    assert message(path) == f"{path} {told}"
