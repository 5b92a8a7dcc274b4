"""A model hub on this machine: the endpoints that huggingface_hub speaks to, over real sockets."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

TOKEN = "hf_onlyForTests0123456789"  # no hub knows it
LARGE = 4096  # bytes from which a file goes by LFS


@dataclass
class Hub:
    """What the hub holds, and how it is to behave.

    Attributes:
        repositories: name → commits, each path → content; the last is the end of main.
        refuse: beginning of a path → status and headers with which it answers.
        asked: method and path of every request, and the token that came with it.
        lie: path in a repository → what is sent in place of its content.
        ignored: paths that a commit leaves out.
    """

    address: str = ""
    repositories: dict[str, list[dict[str, bytes]]] = field(default_factory=dict)
    refuse: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    lie: dict[str, bytes] = field(default_factory=dict)
    ignored: set[str] = field(default_factory=set)
    large: dict[str, bytes] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit_of(self, name: str, index: int) -> str:
        return hashlib.sha1(f"{name} {index}".encode(), usedforsecurity=False).hexdigest()

    def end(self, name: str) -> dict[str, bytes]:
        return self.repositories[name][-1]

    def put(self, name: str, folder: Path) -> str:
        """Make a commit of all files of a folder; return its id."""
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        self.repositories.setdefault(name, []).append(files)
        return self.commit_of(name, len(self.repositories[name]) - 1)

    def at(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Return the commit that a revision names, and its files."""
        commits = self.repositories[name]
        if revision == "main":
            return self.commit_of(name, len(commits) - 1), commits[-1]
        for index, files in enumerate(commits):
            if self.commit_of(name, index) == revision:
                return revision, files
        return None


class _Answer(BaseHTTPRequestHandler):
    """Answers one request; ``hub`` is set on the class that a test makes of this."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._take(b"")

    def do_HEAD(self) -> None:
        self._take(b"")

    def do_POST(self) -> None:
        self._take(self._body())

    def do_PUT(self) -> None:
        self._take(self._body())

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _take(self, body: bytes) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path, self.headers.get("Authorization", "")))
        for start, (status, headers) in self.hub.refuse.items():
            if path.startswith(start):
                self._send(status, b'{"error": "no, says the hub"}', headers)
                return
        parts = path.strip("/").split("/")
        if path == "/api/repos/create":
            said = json.loads(body)
            name = f"{said['organization']}/{said['name']}"
            self.hub.repositories.setdefault(name, [{}])
            self._json({"url": f"{self.hub.address}/{name}", "id": name})
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif parts[:1] == ["upload"]:
            self.hub.large[parts[1]] = body
            self._json({})
        elif parts[:2] == ["api", "models"]:
            self._of_repository("/".join(parts[2:4]), parts[4:], body)
        elif ".git/info/lfs" in path:
            self._batch(json.loads(body))
        elif parts[2:3] == ["resolve"]:
            self._file("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        else:
            self._send(404, b"{}")

    def _of_repository(self, name: str, what: list[str], body: bytes) -> None:
        if name not in self.hub.repositories:
            self._send(404, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"})
        elif what[:1] in ([], ["revision"]):
            found = self.hub.at(name, "/".join(what[1:]) or "main")
            if found is None:
                self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
                return
            siblings = [
                {"rfilename": path, "size": len(content)} for path, content in found[1].items()
            ]
            self._json({"id": name, "modelId": name, "sha": found[0], "siblings": siblings,
                        "tags": [], "private": False, "downloads": 0})  # fmt: skip
        elif what[0] == "preupload":
            rows = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["size"] >= LARGE else "regular",
                    "shouldIgnore": file["path"] in self.hub.ignored,
                }
                for file in json.loads(body)["files"]
            ]
            self._json({"files": rows})
        elif what[0] == "commit":
            self._commit(name, [json.loads(line) for line in body.splitlines()])
        else:
            self._send(404, b"{}")

    def _commit(self, name: str, lines: list[dict[str, Any]]) -> None:
        commits = self.hub.repositories[name]
        files = dict(commits[-1])
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                parent = value.get("parentCommit")
                self.hub.messages.append(value["summary"])
                if parent not in (None, self.hub.commit_of(name, len(commits) - 1)):
                    self._send(412, b'{"error": "A commit has happened since"}')
                    return
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        commits.append(files)
        oid = self.hub.commit_of(name, len(commits) - 1)
        self._json({"commitUrl": f"{self.hub.address}/{name}/commit/{oid}", "commitOid": oid,
                    "success": True})  # fmt: skip

    def _batch(self, said: dict[str, Any]) -> None:
        objects = [
            {
                **row,
                "actions": {
                    "upload": {"href": f"{self.hub.address}/upload/{row['oid']}", "header": {}}
                },
            }
            for row in said["objects"]
        ]
        self._json({"transfer": "basic", "objects": objects})

    def _file(self, name: str, revision: str, path: str) -> None:
        found = self.hub.at(name, revision) if name in self.hub.repositories else None
        if found is None or path not in found[1]:
            self._send(404, b"{}", {"X-Error-Code": "EntryNotFound"})
            return
        content = self.hub.lie.get(path, found[1][path])
        etag = hashlib.sha256(content).hexdigest()
        self._send(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": found[0]})

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """An empty hub that HF_ENDPOINT names; a token is set, and retries wait for nothing."""
    constants = pytest.importorskip("huggingface_hub.constants")
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Answer", (_Answer,), {"hub": Hub()}))
    made = server.RequestHandlerClass.hub  # type: ignore[attr-defined]
    made.address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", made.address)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def bundle(bundle_folder: Path, tmp_path: Path) -> Path:
    """A bundle that may be changed."""
    return Path(shutil.copytree(bundle_folder, tmp_path / "tiny"))
