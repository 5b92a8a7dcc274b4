"""Files are whole or absent, whatever goes wrong while they are written."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgernn import storage
from edgernn.errors import EdgernnError, StorageError
from edgernn.export import pack
from edgernn.importers import importing
from edgernn.storage import owner
from edgernn.training.folder import refuse_existing


def plant(folder: Path, tree: dict[str, bytes]) -> Path:
    folder.mkdir()
    for inner, content in tree.items():
        (folder / inner).parent.mkdir(parents=True, exist_ok=True)
        (folder / inner).write_bytes(content)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_file_appears_whole_and_alone_with_its_parents(tmp_path: Path) -> None:
    storage.write_bytes(tmp_path / "a" / "b" / "file", b"new")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"new"
    assert names(tmp_path) == ["a", "a/b", "a/b/file"]


def test_text_keeps_its_line_ends_and_is_utf8(tmp_path: Path) -> None:
    storage.write_text(tmp_path / "text", "one\r\ntw\u00f6\rthree\n")
    assert (tmp_path / "text").read_bytes() == "one\r\ntw\u00f6\rthree\n".encode()


def test_json_is_readable_by_people(tmp_path: Path) -> None:
    storage.write_json(tmp_path / "value.json", {"caf\u00e9": [1, None]})
    written = (tmp_path / "value.json").read_text(encoding="utf-8")
    assert json.loads(written) == {"caf\u00e9": [1, None]}
    assert '  "caf\u00e9": [' in written.splitlines()
    assert written.endswith("}\n")


def test_the_old_file_stands_until_the_body_has_ended(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    with storage.replacing(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
        assert temporary.parent == target.parent  # a rename is atomic within one file system only
    assert target.read_text() == "new"
    assert names(tmp_path) == ["file"]


def test_a_folder_replaces_a_whole_folder(tmp_path: Path) -> None:
    target = plant(tmp_path / "folder", {"old": b"1", "both": b"1"})
    with storage.replacing(target) as temporary:
        plant(temporary, {"new": b"2", "both": b"2"})
        assert names(target) == ["both", "old"]
    assert names(tmp_path) == ["folder", "folder/both", "folder/new"]
    assert (target / "both").read_bytes() == b"2"


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, OSError])
def test_a_failure_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, kind: str, failure: type[BaseException]
) -> None:
    target = tmp_path / "target"
    if kind == "file":
        target.write_text("old")
    else:
        plant(target, {"old": b"old"})
    before = names(tmp_path)
    with (
        pytest.raises(StorageError if failure is OSError else failure),
        storage.replacing(target) as temporary,
    ):
        if kind == "file":
            temporary.write_text("half")
        else:
            plant(temporary, {"half": b"half"})
        raise failure("stop")
    assert names(tmp_path) == before
    assert (target if kind == "file" else target / "old").read_text() == "old"


def test_a_body_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(StorageError, match="No such file"), storage.replacing(target):
        pass
    assert target.read_text() == "old"


def test_a_folder_does_not_replace_a_file_nor_a_file_a_folder(tmp_path: Path) -> None:
    plant(tmp_path / "folder", {"old": b"1"})
    (tmp_path / "file").write_text("old")
    with (
        pytest.raises(StorageError, match=r"could not write .*file"),
        storage.replacing(tmp_path / "file") as temporary,
    ):
        temporary.mkdir()
    with pytest.raises(StorageError, match=r"could not write .*folder"):
        storage.write_text(tmp_path / "folder", "new")
    assert names(tmp_path) == ["file", "folder", "folder/old"]


def test_what_passes_bytes_on_stays_and_gets_them(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    storage.write_bytes(pipe, b"through")
    assert reader.communicate(timeout=20)[0] == b"through"
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_device_stays_and_gets_the_bytes() -> None:
    ours, theirs = os.openpty()
    device = Path(os.ttyname(theirs))
    storage.write_text(device, "to a device")
    assert device.is_char_device()
    assert os.read(ours, 100) == b"to a device"
    with (
        pytest.raises(StorageError, match=r"could not write to /dev/.*it can hold no folder"),
        storage.replacing(device) as temporary,
    ):
        temporary.mkdir()
    for end in (ours, theirs):
        os.close(end)


def test_a_folder_that_cannot_be_renamed_gives_the_old_one_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = plant(tmp_path / "folder", {"old": b"1"})
    rename = Path.rename

    def refuse(self: Path, to: Path) -> Path:
        if self.suffix == ".tmp":
            raise OSError(5, "Input/output error")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", refuse)
    with (
        pytest.raises(StorageError, match="Input/output error"),
        storage.replacing(target) as temporary,
    ):
        plant(temporary, {"new": b"2"})
    assert names(tmp_path) == ["folder", "folder/old"]


@pytest.mark.parametrize(
    "target",
    ["file/x", "file/deep/x", "n" * 300],
    ids=["in a file", "deep in a file", "a long name"],
)
def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path, target: str) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(StorageError, match="could not write"):
        storage.write_text(tmp_path / target, "new")
    assert names(tmp_path) == ["file"]


def test_a_target_without_a_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EdgernnError), storage.replacing(Path()) as temporary:
        temporary.mkdir()
    assert names(tmp_path) == []


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from edgernn import storage
from edgernn.errors import StorageError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that the write fails, as it does on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
how, target = sys.argv[1], Path(sys.argv[2])
try:
    if how == "bytes":
        storage.write_bytes(target, b"x" * 10_000)
    elif how == "folder":
        with storage.replacing(target) as temporary:
            temporary.mkdir()
            (temporary / "small").write_bytes(b"y")
            (temporary / "large").write_bytes(b"x" * 10_000)
    else:
        with storage.appending(target) as file:
            file.write("x" * 10_000)
except StorageError as error:
    print(error)
    sys.exit(7)
"""


def fill_the_disk(how: str, target: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, how, str(target)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(storage.__file__).parent.parent.parent,
    )
    assert done.returncode == 7, done.stderr
    return done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="needs the POSIX limit on file sizes")
@pytest.mark.parametrize("how", ["bytes", "folder"])
def test_a_full_disk_leaves_the_old_content(tmp_path: Path, how: str) -> None:
    target = tmp_path / "target"
    if how == "folder":
        plant(target, {"old": b"old"})
    else:
        target.write_bytes(b"old")
    before = names(tmp_path)
    message = fill_the_disk(how, target)
    assert f"could not write {target}: File too large" in message
    assert names(tmp_path) == before
    assert (target if how == "bytes" else target / "old").read_bytes() == b"old"


@pytest.mark.skipif(sys.platform == "win32", reason="needs the POSIX limit on file sizes")
def test_a_full_disk_never_touches_what_was_appended_before(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"old\n")
    message = fill_the_disk("append", tmp_path / "log")
    assert f"could not append to {tmp_path / 'log'}: File too large" in message
    assert (tmp_path / "log").read_bytes().startswith(b"old\n")


def test_appending_adds_at_the_end_and_makes_the_file(tmp_path: Path) -> None:
    for line in ("\u00e9\n", "two\n"):
        with storage.appending(tmp_path / "log") as file:
            file.write(line)
    assert (tmp_path / "log").read_text(encoding="utf-8") == "\u00e9\ntwo\n"


def test_appending_where_there_is_no_folder_is_a_storage_error(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match="could not append to"),
        storage.appending(tmp_path / "no" / "log"),
    ):
        pass


def test_removing_a_link_leaves_what_it_points_to(tmp_path: Path) -> None:
    plant(tmp_path / "folder", {"kept": b"1"})
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    storage.remove(tmp_path / "link")
    storage.remove(tmp_path / "nothing")
    assert names(tmp_path) == ["folder", "folder/kept"]
    storage.remove(tmp_path / "folder")
    assert names(tmp_path) == []


ADVICE = {
    errno.ENOSPC: "Free some space",
    errno.EDQUOT: "quota",
    errno.EROFS: "only be read",
    errno.EACCES: "permissions",
}


@pytest.mark.parametrize(("number", "advice"), ADVICE.items(), ids=map(os.strerror, ADVICE))
def test_the_advice_is_that_of_what_was_refused(tmp_path: Path, number: int, advice: str) -> None:
    says = rf"could not write .*{os.strerror(number)}.*{advice}"
    with pytest.raises(StorageError, match=says) as caught, storage.replacing(tmp_path / "file"):
        raise OSError(number, os.strerror(number))
    assert ("space" in str(caught.value)) == (number in {errno.ENOSPC, errno.EDQUOT})


def mark_of_the_dead() -> str:
    """Return the mark of a process of this machine that has ended."""
    code = "from edgernn.storage import owner; print(owner.own_mark())"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_what_a_dead_process_left_is_cleared_by_the_next_that_writes_there(tmp_path: Path) -> None:
    dead, target = mark_of_the_dead(), tmp_path / "file"
    plant(tmp_path / f".file.{dead}-0a1b.tmp", {"half": b"1"})
    (tmp_path / f".file.{dead}-ffff.tmp").write_text("half")
    (tmp_path / f".file.{dead}-ffff.old").write_text("moved away for what is there now")
    (tmp_path / f".other.{dead}-ffff.tmp").write_text("beside another file")
    target.write_text("old")
    storage.write_text(target, "new")
    assert names(tmp_path) == [f".other.{dead}-ffff.tmp", "file"]
    storage.clear(tmp_path)
    assert names(tmp_path) == ["file"]


def test_what_the_living_other_machines_and_other_programs_left_stays(tmp_path: Path) -> None:
    number, place, start = owner.own_mark().split("-")
    elsewhere = "000000" if place != "000000" else "000001"
    kept = [
        f".file.{owner.own_mark()}-0a1b.tmp",
        f".file.{number}-{elsewhere}-{start}-0a1b.tmp",
        ".file.0123abcd.tmp",  # as earlier versions named them: nobody knows whose it is
        ".file.tmp",
        ".file.part-0a1b.tmp",
        "file.1-000000-000000-0a1b.tmp",
    ]
    for name in kept:
        (tmp_path / name).write_text("x")
    storage.write_text(tmp_path / "file", "new")
    storage.clear(tmp_path)
    assert names(tmp_path) == sorted([*kept, "file"])


def test_a_file_of_another_machine_that_nobody_touched_for_a_week_is_left_over(
    tmp_path: Path,
) -> None:
    number, place, start = owner.own_mark().split("-")
    elsewhere = "000000" if place != "000000" else "000001"
    old, young = (
        tmp_path / f".a.{number}-{elsewhere}-{start}-0000.tmp",
        tmp_path / ".b.0123abcd.tmp",
    )
    plant(old, {"inner": b"1"})
    young.write_text("x")
    eight_days_ago = time.time() - 8 * 24 * 3600
    os.utime(old / "inner", (eight_days_ago, eight_days_ago))
    storage.clear(tmp_path)
    assert old.exists()  # the folder itself was touched a moment ago
    os.utime(old, (eight_days_ago, eight_days_ago))
    storage.clear(tmp_path)
    assert names(tmp_path) == [young.name]


def test_a_folder_that_was_moved_out_of_the_way_by_a_killed_process_comes_back(
    tmp_path: Path,
) -> None:
    dead = mark_of_the_dead()
    plant(tmp_path / f".bundle.{dead}-0a1b.old", {"manifest": b"1"})
    plant(tmp_path / f".bundle.{dead}-0a1c.tmp", {"manifest": b"2"})
    storage.clear(tmp_path, name="bundle")
    assert names(tmp_path) == ["bundle", "bundle/manifest"]
    assert (tmp_path / "bundle" / "manifest").read_bytes() == b"1"


SWAPPING = """
import sys
from pathlib import Path
from edgernn import storage

own, target = sys.argv[1], Path(sys.argv[2])
for _ in range(60):
    with storage.replacing(target) as temporary:
        temporary.mkdir()
        for name in ("a", "b", "c"):
            (temporary / name).write_text(own)
"""


def test_several_processes_that_replace_one_folder_leave_one_of_theirs_whole(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", SWAPPING]
    running = [
        subprocess.Popen([*command, str(n), str(tmp_path / "target")], stderr=subprocess.PIPE)
        for n in range(3)
    ]
    told = [process.communicate()[1].decode() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], told
    assert names(tmp_path) == ["target", "target/a", "target/b", "target/c"]
    assert len({(tmp_path / "target" / name).read_text() for name in "abc"}) == 1


def test_scratch_folders_of_killed_processes_go_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import os, signal; from edgernn import storage; storage.scratch_folder(); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)}, check=False
    )
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with storage.scratch() as first, storage.scratch() as second:
        assert sorted(tmp_path.iterdir()) == sorted([first, second]), (
            "that of the dead is gone, those of the living are not"
        )
        assert first.stat().st_mode & 0o077 == 0, "nobody else may look into it"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "write",
    [
        refuse_existing,
        pack.refuse_foreign,
        importing.refuse_foreign,
        lambda path: storage.write_text(path, "x"),
    ],
    ids=["train", "export", "import", "file"],
)
@pytest.mark.parametrize("name", ["run", "run.edgernn"])
def test_a_link_to_what_is_not_there_is_left_as_it_is(
    write: Callable[[Path], None], name: str, tmp_path: Path
) -> None:
    link = tmp_path / name
    link.symlink_to("elsewhere")
    with pytest.raises(StorageError, match=f"{name} is a link to elsewhere, which is not there"):
        write(link)
    assert link.is_symlink() and not link.exists()
