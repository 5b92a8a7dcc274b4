"""A changed text has another generator's number, or bundles of before would count as edited."""

from __future__ import annotations

import hashlib
from importlib import resources
from itertools import product

import numpy as np
from onnx import helper

from edgernn.contract import FileContract
from edgernn.export.to_c import decoding, generator
from edgernn.export.to_c.decoding import companions
from edgernn.export.to_c.generator import generate
from edgernn.export.to_c.options import ACTIVATIONS, Options
from tests.export.to_c.conftest import contract_of, model_of
from tests.export.to_c.test_integers import integers
from tests.export.to_c.test_integers import model_of as integer_model

ADVICE = "raise VERSION where this text is generated, and write the digest of the new one here"
STEPS = (4, "87c255bc36deb3fd")
TEXTS = (1, "d3c33e59befbd12e")


def digest(files: list[bytes]) -> str:
    return hashlib.sha256(b"\0".join(files)).hexdigest()[:16]


def steps() -> list[bytes]:
    """Return a step of floats with the functions of most networks, and products of integers."""
    draw = np.random.default_rng(0)
    x, h = np.zeros((1, 1, 20), np.float32), np.zeros((1, 1, 32), np.float32)
    contract = contract_of({"x": x}, {"y": (1, 1, 8)}, {"h": h})
    nodes = [
        helper.make_node("Concat", ["x", "h"], ["both"], axis=2),
        helper.make_node("MatMul", ["both", "w"], ["gates"]),
        helper.make_node("Split", ["gates"], ["r", "n"], axis=2),
        helper.make_node("Sigmoid", ["r"], ["opened"]),
        helper.make_node("Tanh", ["n"], ["new"]),
        helper.make_node("Mul", ["opened", "new"], ["h_next"]),
        helper.make_node("MatMul", ["h_next", "v"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["y"], axis=-1),
    ]
    constants = {
        "w": draw.normal(size=(52, 64)).astype(np.float32),
        "v": draw.normal(size=(32, 8)).astype(np.float32),
    }
    made = [generate(model_of(nodes, contract, constants), FileContract(contract=contract)).files]
    for bits, activations in product((8, 4), ACTIVATIONS):
        _, scales, stored = integers(draw, 40, 70, bits, 32)
        node = helper.make_node(
            "MatMulNBits", ["x", "b", "s"], ["y"], domain="com.microsoft",
            K=70, N=40, bits=bits, block_size=32,
        )  # fmt: skip
        own = contract_of({"x": np.zeros((1, 70), np.float32)}, {"y": (1, 40)})
        model = integer_model([node], own, {"b": stored, "s": scales.ravel()})
        made.append(
            generate(model, FileContract(contract=own), Options(activations=activations)).files
        )
    return [files[name] for files in made for name in sorted(files)]


def test_a_step_that_changes_has_another_version() -> None:
    assert (generator.VERSION, digest(steps())) == STEPS, ADVICE


def test_a_text_that_changes_has_another_version() -> None:
    found = sorted(resources.files(decoding).iterdir(), key=lambda file: file.name)
    files = [file.read_bytes() for file in found if file.name.endswith((".c", ".h"))]
    assert (companions.VERSION, digest(files)) == TEXTS, ADVICE
