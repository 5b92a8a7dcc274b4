"""The server: each of many clients gets what it would get alone, whatever the others do."""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from edgernn.bundle import Bundle
from edgernn.sessions.model import Model, open_model
from edgernn.writing.text import write_text

SERVER = Path(__file__).resolve().parents[2] / "runtime_examples/server"
CLIENTS, ROUNDS, VOCABULARY = 64, 12, 8


class Running:
    """A server process, where it listens, and what it logs to."""

    def __init__(self, bundle: Path, log: Path, *options: str) -> None:
        command = [sys.executable, "server.py", str(bundle), "--port", "0", *options]
        self._log = log
        with log.open("w") as file:
            self.process = subprocess.Popen(command, cwd=SERVER, stderr=file)
        late = time.monotonic() + 60
        while not (found := re.search(r"running on http://(\S+)", self.log)):
            assert self.process.poll() is None, self.log
            assert time.monotonic() < late, self.log
            time.sleep(0.05)
        self.place = found[1]

    @property
    def log(self) -> str:
        """What it said."""
        return self._log.read_text("utf-8")

    def health(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://{self.place}/health", timeout=30) as answer:
            return dict(json.load(answer))

    def wait_for(self, streams: int) -> None:
        """Wait until so many streams are left."""
        late = time.monotonic() + 60
        while (found := self.health()["streams"]) != streams:
            assert time.monotonic() < late, found
            time.sleep(0.05)

    def end(self) -> int:
        """Ask it to end; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextmanager
def running(bundle: Path, folder: Path, *options: str) -> Iterator[Running]:
    server = Running(bundle, folder / "server.log", *options)
    try:
        yield server
        assert server.end() == -signal.SIGTERM, server.log  # uvicorn hands on what ended it
        assert "Traceback" not in server.log, server.log
    finally:
        server.process.kill()


@pytest.fixture(scope="module")
def server(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(bundle_folder, tmp_path_factory.mktemp("server")) as made:
        yield made


@asynccontextmanager
async def client(server: Running, **options: Any) -> AsyncIterator[ClientConnection]:
    async with connect(f"ws://{server.place}/stream", **options) as socket:
        yield socket


async def asked(socket: ClientConnection, message: Any) -> Any:
    """Send a message; return its answer, arrays or a JSON object."""
    await socket.send(json.dumps(message) if isinstance(message, dict) else message)
    answer = await asyncio.wait_for(socket.recv(), 60)
    return load(answer) if isinstance(answer, bytes) else json.loads(answer)


def tokens(rng: np.random.Generator, length: int) -> dict[str, np.ndarray]:
    return {"tokens": rng.integers(0, VOCABULARY, (1, length))}


async def talk(server: Running, model: Model, number: int) -> int:
    """Be one client: compare every answer; some send garbage, and some are cut off."""
    rng, pick = np.random.default_rng(number), random.Random(number)
    async with client(server) as socket:
        contexts, state = model.begin()
        for turn in range(ROUNDS):
            if number % 4 == 1 and turn == pick.randrange(ROUNDS):
                socket.transport.abort()
                return turn
            if number % 4 == 2:
                bad = pick.choice((b"\0" * 9, save(tokens(rng, 1) | {"t": np.zeros(1)}), {"do": 1}))
                assert list(await asked(socket, bad)) == ["error"]
            given = tokens(rng, pick.choice((1, 1, 1, 2, 5)))
            outputs, state = model.step({**given, **contexts}, state)
            found = await asked(socket, save(given))
            assert found.keys() == outputs.keys()
            assert all(np.allclose(found[name], outputs[name], atol=2e-6) for name in found)
        return ROUNDS


def test_each_of_many_clients_gets_what_it_gets_alone(server: Running, bundle: Bundle) -> None:
    model = open_model(bundle)

    async def all_of_them() -> list[int]:
        return await asyncio.gather(*(talk(server, model, each) for each in range(CLIENTS)))

    turns = asyncio.run(all_of_them())
    assert sum(turn == ROUNDS for turn in turns) >= CLIENTS * 3 // 4
    server.wait_for(0)
    assert server.health()["rows"] > 1.5  # they did share calls


def test_it_writes_what_generate_writes(server: Running, bundle: Bundle) -> None:
    async def written(*wishes: dict[str, Any]) -> list[str]:
        texts = []
        async with client(server) as socket:
            for wish in wishes:
                await socket.send(json.dumps({"do": "write", **wish}))
                pieces = [json.loads(await socket.recv())]
                while "text" in pieces[-1]:
                    pieces.append(json.loads(await socket.recv()))
                assert pieces.pop() == {"done": "write"}
                texts.append("".join(piece["text"] for piece in pieces))
        return texts

    wish = {"length": 40, "seed": 2**64 - 1, "temperature": 0.7, "top_k": 5, "top_p": 0.9}
    wanted = write_text(bundle, "the", **wish)["text"]
    first, again = asyncio.run(written({"prompt": "the", **wish}, {"prompt": "", **wish}))
    assert first == wanted
    assert again != first  # it went on
    greedy = write_text(bundle, "", length=30, temperature=0)["text"]
    assert asyncio.run(written({"length": 30, "temperature": 0})) == [greedy]


def test_a_state_is_saved_and_restored(server: Running) -> None:
    async def there_and_back() -> None:
        given = save(tokens(np.random.default_rng(1), 3))
        async with client(server) as one, client(server) as other:
            first = await asked(one, given)
            saved = await asked(one, {"do": "state"})
            second = await asked(one, given)
            assert not np.allclose(first["logits"], second["logits"])
            assert await asked(other, save(saved, {"do": "restore"})) == {"done": "restore"}
            assert np.allclose((await asked(other, given))["logits"], second["logits"], atol=2e-6)
            assert await asked(one, {"do": "reset"}) == {"done": "reset"}
            assert np.allclose((await asked(one, given))["logits"], first["logits"], atol=2e-6)
            assert "is missing" in (await asked(one, save({}, {"do": "restore"})))["error"]

    asyncio.run(there_and_back())


WRONG: dict[str, tuple[Any, str]] = {
    "text": ("{", r"^the message is no JSON \("),
    "list": ("[]", r"^the message is a JSON list, expected an object$"),
    "nothing": ({}, r"^do is None, expected one of reset, state, write$"),
    "word": ({"do": "dance"}, r"^do is 'dance', expected one of reset, state, write$"),
    "bytes": (b"nonsense", r"^the message is no safetensors file \("),
    "what": (save({}, {"do": "dance"}), r"^do is 'dance', expected one of step, begin, restore$"),
    "missing": (save({}), r"^input 'tokens' is missing; it is int64 \[batch, time\]$"),
    "null": (b"\x15" + bytes(7) + b'{"__metadata__":null}', r"^input 'tokens' is missing; "),
    "rows": (save({"tokens": np.zeros((2, 1), np.int64)}), r"^tokens has batch = 2 "),
    "dtype": (save({"tokens": np.zeros((1, 1), np.int32)}), r"^tokens is int32, expected int64 "),
    "id": (save({"tokens": np.array([[999]])}), r"^tokens has the value 999, expected 0 to "),
    "long": (save({"tokens": np.zeros((1, 2000), np.int64)}), r"^tokens has 2000 steps, .* 1024 "),
    "begin": (save({"image": np.zeros(1)}, {"do": "begin"}), r"^unknown input \['image'\]"),
    "length": ({"do": "write", "length": -1}, r"^length is -1, expected a whole number from 0 to "),
    "seed": ({"do": "write", "seed": 0.5}, r"^seed is 0.5, expected a whole number from 0 to "),
    "prompt": ({"do": "write", "prompt": 3}, r"^prompt is 3, expected a text$"),
    "unknown": ({"do": "write", "prompt": "\u2603"}, r"\u2603|does not know|unknown"),
    "option": ({"do": "write", "lenght": 3}, r"^'lenght' is unknown, expected prompt, length, "),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_what_is_refused_is_told_in_a_line(server: Running, case: tuple[Any, str]) -> None:
    async def told() -> str:
        async with client(server) as socket:
            line = (await asked(socket, case[0]))["error"]
            assert "logits" in await asked(socket, save({"tokens": np.array([[1]])}))  # it goes on
            return str(line)

    line = asyncio.run(told())
    assert re.search(case[1], line), line
    assert "\n" not in line


def closed(server: Running, act: Callable[[ClientConnection], Any]) -> tuple[int, str]:
    """Return the code and the reason with which the server ends a connection."""

    async def until_closed() -> tuple[int, str]:
        async with client(server) as socket:
            try:
                await act(socket)
                while True:
                    await asyncio.wait_for(socket.recv(), 60)
            except ConnectionClosed as end:
                assert end.rcvd is not None
                return end.rcvd.code, end.rcvd.reason

    return asyncio.run(until_closed())


def test_who_sends_nothing_but_garbage_is_let_go(server: Running) -> None:
    async def garbage(socket: ClientConnection) -> None:
        for _ in range(8):
            assert "error" in await asked(socket, b"nonsense")

    assert closed(server, garbage) == (1008, "8 messages in a row were refused")
    assert closed(server, lambda socket: socket.send(b"\0" * (2 << 20)))[0] == 1009
    server.wait_for(0)


def test_its_limits(bundle_folder: Path, tmp_path: Path) -> None:
    options = ("--connections", "2", "--idle-seconds", "1.5", "--send-seconds", "1")
    with running(bundle_folder, tmp_path, *options) as server:
        assert closed(server, lambda _: asyncio.sleep(0)) == (1008, "no message for 1.5 s")

        async def too_many() -> None:
            async with client(server), client(server):
                with pytest.raises(InvalidStatus) as refused:
                    await client(server).__aenter__()
                assert refused.value.response.status_code == 503
                assert refused.value.response.headers["Retry-After"] == "5"

        asyncio.run(too_many())
        with pytest.raises(InvalidStatus) as foreign:
            asyncio.run(client(server, origin="http://elsewhere.example").__aenter__())
        assert foreign.value.response.status_code == 403


def test_who_reads_nothing_is_let_go(bundle_folder: Path, tmp_path: Path) -> None:
    """Answers pile up in the sockets, then in the server, which waits half a second and ends it;
    the others are served all along.
    """
    given = save({"tokens": np.zeros((1, 1024), np.int64)})
    with running(bundle_folder, tmp_path, "--send-seconds", "0.5") as server:

        async def deaf() -> None:
            async with client(server, max_queue=1) as socket, client(server) as other:
                sending = asyncio.create_task(_send_for_ever(socket, given))
                while not sending.done():
                    assert "logits" in await asked(other, save({"tokens": np.array([[1]])}))
                    await asyncio.sleep(0.05)
                socket.transport.abort()

        async def _send_for_ever(socket: ClientConnection, message: bytes) -> None:
            try:
                while True:
                    await socket.send(message)
            except ConnectionClosed:
                pass

        asyncio.run(asyncio.wait_for(deaf(), 120))
        server.wait_for(0)


def test_it_ends_cleanly(bundle_folder: Path, tmp_path: Path) -> None:
    with running(bundle_folder, tmp_path) as server:

        async def told_to_end() -> int:
            async with client(server) as socket:
                assert "logits" in await asked(socket, save({"tokens": np.array([[1]])}))
                server.process.send_signal(signal.SIGTERM)
                with pytest.raises(ConnectionClosed) as end:
                    await asyncio.wait_for(socket.recv(), 60)
                assert end.value.rcvd is not None
                return end.value.rcvd.code

        assert asyncio.run(told_to_end()) in (1001, 1012)


def test_a_picture_for_each(
    captioner_bundle_folder: Path, pictures: np.ndarray, tmp_path: Path
) -> None:
    with (
        running(captioner_bundle_folder, tmp_path) as server,
        Bundle.open(captioner_bundle_folder) as bundle,
    ):
        model = open_model(bundle)
        (name,) = [spec.name for spec in model.encode.spec.fresh_inputs]  # type: ignore[union-attr]

        async def look(number: int) -> None:
            picture, start = pictures[number][None], {"tokens": np.array([[1]])}
            contexts, state = model.begin({name: picture})
            wanted, _ = model.step({**start, **contexts}, state)
            async with client(server) as socket:
                assert "has not begun" in (await asked(socket, save(start)))["error"]
                assert await asked(socket, save({name: picture}, {"do": "begin"})) == {
                    "done": "begin"
                }
                found = await asked(socket, save(start))
                assert all(np.allclose(found[each], wanted[each], atol=2e-6) for each in wanted)
                assert "looks at something" in (await asked(socket, {"do": "reset"}))["error"]
                assert "writes no text" in (await asked(socket, {"do": "write"}))["error"]

        async def all_of_them() -> None:
            await asyncio.gather(*map(look, range(len(pictures))))

        asyncio.run(all_of_them())


def test_a_missing_bundle_is_told_in_a_line(tmp_path: Path) -> None:
    command = [sys.executable, "server.py", str(tmp_path / "none.edgernn")]
    done = subprocess.run(
        command, cwd=SERVER, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    done = subprocess.run(
        [*command, "--port", "99999"], cwd=SERVER, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.endswith("--port is 99999, expected 0 to 65535\n")


def test_a_port_in_use_is_told_in_a_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        command = [sys.executable, "server.py", str(tmp_path / "none.edgernn"), "--port", port]
        done = subprocess.run(
            command, cwd=SERVER, capture_output=True, text=True, timeout=60, check=False
        )
    line = f"cannot listen on 127.0.0.1, port {port}: Address already in use; give another --port"
    assert done.returncode == 2
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1


def test_a_client_without_a_server_says_so_in_a_line() -> None:
    command = [sys.executable, "client.py", "ws://127.0.0.1:1/stream"]
    done = subprocess.run(
        command, cwd=SERVER, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.endswith("; is a server running there?\n")
