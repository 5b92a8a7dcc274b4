"""What is fuzzed: good files, and the real readers run over damaged copies of them.

A target writes one damaged file, reads, and ends in one of three ways: an EdgernnError (refused),
the same data as the good file gives (accepted), or ``WrongError``: other data were taken for good.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from mutations import mutate_bytes, mutate_json, mutate_tensors, mutate_zip

from edgernn import storage
from edgernn.bundle import Bundle, digest, pack
from edgernn.bundle.manifest import Manifest
from edgernn.contract import Contract, FileContract, file_problems
from edgernn.contract.interface import FileDescription
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.decoding.generate import Snapshot
from edgernn.decoding.saved_state import load_snapshot, save_snapshot
from edgernn.errors import EdgernnError
from edgernn.export import export_bundle
from edgernn.models import checkpoint
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.parity import golden
from edgernn.sessions.opening import read_first_state, session_class
from edgernn.sessions.ort.header import read_target
from edgernn.storage import array_files, tensor_files
from edgernn.storage.identify import sentence
from edgernn.training import resume
from edgernn.training.metrics import MetricsFile
from edgernn.writing.text import open_tokenizer

TEXT = "the quick brown fox jumps over the lazy dog.\n"


class WrongError(Exception):
    """Damaged data were taken for good."""


@dataclass(frozen=True)
class Goods:
    """The good files that everything else is made of, below ``box``."""

    box: Path
    run: Path
    bundle: Path
    packed: Path
    state: Path
    training: Path
    contract: Contract


def make_goods(box: Path) -> Goods:
    """Write a tiny run, its bundle as a folder and as a file, a saved state and the state of a
    training.
    """
    torch.manual_seed(1)
    tokenizer = Tokenizer.build([TEXT], "char")
    config = LanguageConfig(
        vocabulary=tokenizer.vocabulary_size,
        embedding=3,
        hidden=4,
        layers=1,
        learned_initial_state=True,
    )
    model = LanguageModel(config).eval()
    sample = {"tokens": tokenizer.encode(TEXT)}
    checkpoint.save(
        Checkpoint(model, tokenizer, {"corpus": "fuzz", "validation_loss": 3.0}, sample),
        box / "run",
    )
    export_bundle(box / "run", box / "bundle", to="onnx", steps=4)
    pack(box / "bundle", box / "packed.edgernn")
    contract = config.contract()
    state = {spec.name: np.ones((1, 1, 4), np.float32) for spec in contract.step.states}
    save_snapshot(
        box / "good.state", Snapshot(state, np.array([3], np.int64), 7), contract=contract
    )
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.zeros((1, 2), dtype=torch.int64), model.initial_state(1))[0].sum().backward()
    optimizer.step()
    progress = resume.Progress(step=3, best=1.5, options={"steps": 5}, setup={"tokens": "char"})
    (box / "training").mkdir()
    extra = {"random": resume.random_state(torch.device("cpu")), "task.position": torch.tensor([5])}
    resume.save(
        box / "training" / resume.RESUME_FILE,
        progress,
        model=model,
        optimizer=optimizer,
        extra=extra,
    )
    return Goods(
        box,
        box / "run",
        box / "bundle",
        box / "packed.edgernn",
        box / "good.state",
        box / "training",
        contract,
    )


class Target:
    """One kind of input. ``case`` damages, reads and judges."""

    name: ClassVar[str]

    def __init__(self, goods: Goods) -> None:
        self.goods = goods
        self.prepare()

    def prepare(self) -> None:
        """Read the good files once."""

    def case(self, luck: random.Random) -> str:
        """Run one case; return what was done. Raises EdgernnError, WrongError, or what should not
        be raised.
        """
        raise NotImplementedError


def damage(path: Path, luck: random.Random) -> tuple[bytes, str]:
    """Return the damaged content of a file, by a mutation of its format."""
    content = path.read_bytes()
    if path.suffix in {".safetensors", ".state"}:
        return mutate_tensors(content, luck)
    if path.suffix == ".json" and luck.random() < 0.7:
        return mutate_json(content, luck)
    return mutate_bytes(content, luck)


class Damaged:
    """A context in which one file has other content; the good one comes back."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path, self.content, self.good = path, content, path.read_bytes()

    def __enter__(self) -> None:
        self.path.write_bytes(self.content)

    def __exit__(self, *rest: object) -> None:
        if self.path.is_dir():
            shutil.rmtree(self.path)
        self.path.write_bytes(self.good)


class Bundles(Target):
    """Single-file and folder bundles: any byte of any file, and the structure of the zip."""

    name = "bundles"
    manifest: Manifest
    files: dict[str, bytes]
    description: FileDescription

    def prepare(self) -> None:
        self.manifest = Bundle.open(self.goods.bundle).manifest
        listed = [*self.manifest.files, *(artifact.path for artifact in self.manifest.artifacts)]
        self.files = {inner: (self.goods.bundle / inner).read_bytes() for inner in listed}
        self.description = session_class("onnx").describe(
            self.goods.bundle / self.manifest.artifacts[0].path
        )
        self.content = self.goods.packed.read_bytes()
        self.copy = self.goods.box / "case.edgernn"

    def case(self, luck: random.Random) -> str:
        if luck.random() < 0.6:
            content, done = mutate_zip(self.content, luck)
            self.copy.write_bytes(content)
            self.read(self.copy, done)
            return done
        inner = luck.choice(list(self.files))
        content, done = damage(self.goods.bundle / inner, luck)
        done = f"{inner}: {done}"
        with Damaged(self.goods.bundle / inner, content):
            if luck.random() < 0.3 and not inner.startswith("onnx/"):
                self.resigned(inner, done)
            else:
                self.read(self.goods.bundle, done)
        return done

    def read(self, source: Path, done: str) -> None:
        """Open; everything that opening lets through must be what was packed."""
        with Bundle.open(source) as bundle:
            self.judge(bundle, done)

    def judge(self, bundle: Bundle, done: str) -> None:
        for inner in [
            *bundle.manifest.files,
            *(artifact.path for artifact in bundle.manifest.artifacts),
        ]:
            if bundle.path(inner).read_bytes() != self.files.get(inner):
                raise WrongError(f"{inner} has another content: {done}")
        read_all(bundle)
        same(bundle, self.manifest, self.description, done)

    def resigned(self, inner: str, done: str) -> None:
        """A stranger makes the digest right again: whatever is inside, the readers end in an error
        or in arrays.
        """
        manifest = self.goods.bundle / "manifest.json"
        raw = json.loads(manifest.read_bytes())
        raw["files"][inner] = digest(self.goods.bundle / inner).model_dump()
        with Damaged(manifest, json.dumps(raw).encode()), Bundle.open(self.goods.bundle) as bundle:
            read_all(bundle)


def read_all(bundle: Bundle) -> None:
    """Read every file of a bundle that is no model file, as verify and generate do."""
    manifest = bundle.manifest
    open_tokenizer(bundle)
    if manifest.golden:
        golden.read(bundle.path(manifest.golden), manifest.contract)
    if manifest.initial_state:
        read_first_state(bundle.path(manifest.initial_state), manifest.contract)
    if manifest.evaluation:
        checkpoint.read_evaluation(bundle.path(manifest.evaluation))
    if manifest.reference:
        checkpoint.load(bundle.path(manifest.reference))


def same(bundle: Bundle, good: Manifest, description: FileDescription, done: str) -> None:
    """Make sure that a manifest that was taken says of every file what the good one says, or that
    the contract check fails.

    Notes that nothing in a bundle can vouch for are left out: provenance, what was measured, who
    wrote it for what; and a bundle may lack a file that is not needed.
    """
    manifest = bundle.manifest
    known = {artifact.path: artifact for artifact in good.artifacts}
    for artifact in manifest.artifacts:
        other = known.get(artifact.path)
        if other is None or (artifact.sha256, artifact.bytes) != (other.sha256, other.bytes):
            raise WrongError(f"another artifact: {done}")
        promised = bundle.file_contract(artifact)
        as_it_was = (
            FileContract.from_metadata(description.metadata, source="it") == promised
            and artifact.format == other.format
        )
        if (
            not as_it_was
            and artifact.format == other.format
            and not file_problems(description, promised)
        ):
            raise WrongError(f"another contract: {done}")
    for field in ("golden", "initial_state", "reference", "evaluation", "sampler"):
        if getattr(manifest, field) not in {None, getattr(good, field)}:
            raise WrongError(f"another {field}: {done}")
    if manifest.artifacts and (manifest.family, manifest.tokenizer.path) != (
        good.family,
        good.tokenizer.path,
    ):
        raise WrongError(f"another family or tokenizer: {done}")


class Manifests(Bundles):
    """manifest.json in a folder: a place of its JSON, or its bytes."""

    name = "manifests"

    def case(self, luck: random.Random) -> str:
        path = self.goods.bundle / "manifest.json"
        content, done = damage(path, luck)
        with Damaged(path, content):
            self.read(self.goods.bundle, done)
        return done


class Checkpoints(Target):
    """The four files of a run."""

    name = "checkpoints"

    def prepare(self) -> None:
        self.good = self.state()

    def state(self) -> dict[str, Any]:
        loaded = checkpoint.load(self.goods.run)
        tensors = {
            f"model.{name}": tensor.numpy() for name, tensor in loaded.model.state_dict().items()
        }
        tensors |= {f"evaluation.{name}": array for name, array in loaded.evaluation.items()}
        about = {
            "config": loaded.model.config.model_dump(),
            "tokenizer": json.loads(loaded.tokenizer.to_json()),
        }
        return {**tensors, **about}

    def case(self, luck: random.Random) -> str:
        name = luck.choice(
            (checkpoint.CONFIG, checkpoint.WEIGHTS, checkpoint.TOKENIZER, checkpoint.EVALUATION)
        )
        content, done = damage(self.goods.run / name, luck)
        done = f"{name}: {done}"
        with Damaged(self.goods.run / name, content):
            found = self.state()
        if "sealed again" not in done:
            unchanged(found, self.good, done)
        return done


class Resumes(Target):
    """The state of a training, and its metrics."""

    name = "resume states"

    def prepare(self) -> None:
        self.path = self.goods.training / resume.RESUME_FILE
        self.progress, self.tensors = resume.load(self.path)
        self.metrics = self.goods.training / "metrics.jsonl"
        lines = [{"step": step, "kind": "step", "loss": 1.0 / (step + 1)} for step in range(6)]
        self.lines = "".join(f"{json.dumps(line)}\n" for line in lines).encode()

    def case(self, luck: random.Random) -> str:
        if luck.random() < 0.2:
            content, done = mutate_bytes(self.lines, luck)
            self.metrics.write_bytes(content)
            MetricsFile(self.goods.training, from_step=3).close()
            return f"metrics: {done}"
        content, done = mutate_tensors(self.path.read_bytes(), luck)
        with Damaged(self.path, content):
            progress, tensors = resume.load(self.path)
        if "sealed again" not in done:
            found = {name: tensor.numpy() for name, tensor in tensors.items()}
            unchanged(found, {name: tensor.numpy() for name, tensor in self.tensors.items()}, done)
            if progress != self.progress:
                raise WrongError(f"another progress: {done}")
        return done


class States(Target):
    """Saved states, tokenizers, first states, golden runs by themselves, and files whose kind is
    asked for.
    """

    name = "others"

    def prepare(self) -> None:
        self.good = load_snapshot(self.goods.state, contract=self.goods.contract)
        bundle = self.goods.bundle
        self.names: dict[Path, Callable[[Path], object]] = {
            self.goods.state: self.snapshot,
            bundle / "tokenizer.json": self.tokenizer,
            bundle / "golden.safetensors": lambda path: golden.read(path, self.goods.contract),
            bundle / "initial_state.safetensors": lambda path: read_first_state(
                path, self.goods.contract
            ),
            bundle / "onnx/step.onnx": read_target,
        }

    def snapshot(self, path: Path) -> None:
        found = load_snapshot(path, contract=self.goods.contract)
        if "sealed again" not in self.done:
            unchanged(
                {**found.state, "p": found.pending},
                {**self.good.state, "p": self.good.pending},
                self.done,
            )
            if found.position != self.good.position:
                raise WrongError(f"another position: {self.done}")

    def tokenizer(self, path: Path) -> None:
        made = Tokenizer.load(path)
        made.decode(made.encode(TEXT, on_unknown="skip")[:4])

    def case(self, luck: random.Random) -> str:
        source = luck.choice(list(self.names))
        content, done = damage(source, luck)
        self.done = f"{source.name}: {done}"
        path = self.goods.box / f"case{source.suffix}"
        path.write_bytes(content)
        told = sentence(path)
        if "\n" in told:
            raise WrongError(f"more than one line of its kind: {self.done}")
        self.names[source](path)
        return self.done


class Arrays(Target):
    """Files of other programs: what inspect lists of them, and what their kind is."""

    name = "foreign files"

    def prepare(self) -> None:
        box = self.goods.box
        np.savez(box / "a.npz", a=np.zeros((2, 3)), b=np.ones(4, np.int8))
        np.save(box / "a.npy", np.zeros((2, 3)))
        torch.save({"a": torch.zeros(3)}, box / "a.pt")
        torch.save({"a": torch.zeros(3)}, box / "b.pkl", _use_new_zipfile_serialization=False)
        (box / "a.safetensors").write_bytes(tensor_files.save({"a": np.zeros(3)}))
        self.paths = [box / name for name in ("a.npz", "a.npy", "a.pt", "b.pkl", "a.safetensors")]

    def case(self, luck: random.Random) -> str:
        source = luck.choice(self.paths)
        zipped = source.suffix in {".npz", ".pt"}
        content, done = (mutate_zip if zipped else mutate_bytes)(source.read_bytes(), luck)
        path = self.goods.box / f"case{source.suffix}"
        path.write_bytes(content)
        sentence(path)
        if source.suffix in {".npz", ".npy", ".safetensors"}:
            array_files.layout(path, source.suffix[1:])
        return f"{source.name}: {done}"


def unchanged(found: dict[str, Any], good: dict[str, Any], done: str) -> None:
    """Raise WrongError where ``found`` differs from what the good files gave."""
    if found.keys() != good.keys():
        raise WrongError(f"other names {sorted(found.keys() ^ good.keys())}: {done}")
    for name, value in good.items():
        other = found[name]
        array = isinstance(value, np.ndarray)
        if array and (
            other.dtype != value.dtype
            or other.shape != value.shape
            or other.tobytes() != value.tobytes()
        ):
            raise WrongError(f"another {name}: {done}")
        if not array and other != value:
            raise WrongError(f"another {name}: {done}")


TARGETS: dict[str, type[Target]] = {
    kind.name: kind for kind in (Bundles, Manifests, Checkpoints, Resumes, States, Arrays)
}
__all__ = ["TARGETS", "EdgernnError", "Target", "WrongError", "make_goods", "storage"]
