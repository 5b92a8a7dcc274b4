"""``edgernn push`` and ``pull``, to and from a folder; against a hub: ``tests/hub``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


def test_a_bundle_goes_to_a_folder_and_back(bundle_folder: Path, run: Run, tmp_path: Path) -> None:
    code, out, err = run("push", bundle_folder, "./shelf", "--dry-run")
    assert (code, err) == (0, "")
    assert "would push" in out
    assert "onnx/step.onnx" in out
    assert not (tmp_path / "shelf").exists()
    code, out, _ = run("push", bundle_folder, "./shelf", "--license", "apache-2.0")
    assert code == 0
    assert out.startswith("pushed ")
    card = (tmp_path / "shelf" / "README.md").read_text()
    assert "\n# shelf\n" in card
    assert "license: apache-2.0" in card
    code, out, _ = run("push", bundle_folder, "./shelf", "--json")
    plan = json.loads(out)
    assert plan["replaces"]
    assert plan["added"]["README.md"] > 1000
    code, out, err = run("pull", "./shelf", "--out", "back.edgernn")
    assert (code, err) == (0, "")
    assert out.startswith("pulled ")
    assert "every digest is right" in out
    assert json.loads(run("pull", "./shelf", "--out", "back", "--json")[1])["out"] == "back"
    assert run("verify", "back", "--to", "onnx", "--steps", 16)[0] == 0


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("push", "{bundle}", "hf_secret0123456"), "a token was given as an argument"),
        (("push", "{bundle}", "./f", "--signer", "Ann"), "give whom you trust with --signed-by"),
        (("push", "./absent", "./f"), "no bundle at absent"),
        (("pull", "./absent", "--out", "f"), "no bundle at absent"),
        (("pull", "{bundle}", "--out", "f", "--revision", "v1"), "--revision is of a hub"),
        (("pull", "https://x.example/a/b", "--out", "f"), "expected OWNER/NAME"),
    ],
)
def test_misuse_is_one_line(
    command: tuple[str, ...], told: str, bundle_folder: Path, run: Run, tmp_path: Path
) -> None:
    code, out, err = run(*(word.format(bundle=bundle_folder) for word in command))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert told in err
    assert "secret" not in err
    assert not (tmp_path / "f").exists()


def test_without_the_package_one_line_names_the_extra(
    bundle_folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for module in ("remote", "refusals"):
        monkeypatch.delitem(sys.modules, f"edgernn.hub.{module}", raising=False)
    for command in (("push", bundle_folder, "ann/tiny"), ("pull", "ann/tiny", "--out", "f")):
        code, out, err = run(*command)
        assert (code, out) == (2, "")
        assert "a hub needs the package 'huggingface_hub'" in err
        assert "[hub]" in err
