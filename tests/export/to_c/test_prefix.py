"""``--prefix``: two networks in one program; names that C keeps to itself."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgernn.errors import ContractError, UsageError
from edgernn.export.module_bundle import export_module
from edgernn.export.pack import export_bundle
from edgernn.export.rounding.compression import Budget
from edgernn.export.source import ReducedOptions
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageModel
from edgernn.parity.verify import verify_bundle
from edgernn.sessions.compiler import find_compiler
from edgernn.sessions.opening import open_session

LOOSE = Budget(perplexity=1.0)
PROGRAM = """
#include <stdio.h>
#include "one/c/step/step.h"
#include "two/c/step-int8/step.h"
#include "one/c/step/step.h"

int main(void)
{
    static float scores[2][ONE_V];
    one_state h = {{0}};
    two_state g = {{0}};
    for (int64_t token = 0; token < 3; ++token) {
        const one_inputs a = {&token};
        const two_inputs b = {&token};
        one_outputs x = {scores[0]};
        two_outputs y = {scores[1]};
        if (one_step(&a, &h, &x) != ONE_STEP_OK || two_step(&b, &g, &y) != TWO_STEP_OK) {
            return 1;
        }
    }
    fwrite(scores, sizeof scores, 1, stdout);
    return 0;
}
"""


def test_two_networks_in_one_program(
    make_model: Callable[..., LanguageModel], tokenizer: object, tmp_path: Path
) -> None:
    wanted = []
    objects = []
    cc = find_compiler()
    flags = [flag for flag in cc.flags if flag not in ("-shared", "-fPIC", "-nostdlib")]
    for name, precision, cell in (("one", "float32", "lstm"), ("two", "int8", "gru")):
        loaded = Checkpoint(make_model(cell=cell), tokenizer, {}, {"tokens": np.arange(120) % 30})  # type: ignore[arg-type]
        options = ReducedOptions(budget=LOOSE, prefix=name)
        bundle = export_bundle(
            loaded, tmp_path / name, to="c", precision=precision, steps=4, options=options
        )
        assert verify_bundle(bundle, steps=4).passed
        session = open_session(bundle)
        state = session.initial_state()
        for token in range(3):
            outputs, state = session.step({"tokens": np.array([[token]])}, state)
        wanted.append(outputs["logits"][0, 0])
        folder = bundle.path(bundle.manifest.artifacts[0].path)
        for source in ("step.c", "step.weights.S"):
            objects.append(tmp_path / f"{name}-{source}.o")
            command = [*cc.command, *flags, "-c", source, "-o", str(objects[-1])]
            subprocess.run(command, cwd=folder, check=True)
    (tmp_path / "main.c").write_text(PROGRAM.replace("ONE_V", str(len(wanted[0]))))
    command = [*cc.command, *flags, "main.c", *map(str, objects), "-o", "program"]
    subprocess.run(command, cwd=tmp_path, check=True)
    said = subprocess.run(["./program"], cwd=tmp_path, check=True, capture_output=True).stdout
    assert np.array_equal(np.frombuffer(said, np.float32).reshape(2, -1), np.stack(wanted))


@pytest.mark.parametrize("prefix", ["", "One", "1st", "a-b", "a b", "x" * 31, "one\n"])
def test_a_prefix_that_is_no_name(checkpoint_folder: Path, tmp_path: Path, prefix: str) -> None:
    options = ReducedOptions(prefix=prefix)
    with pytest.raises(
        UsageError, match=r"^the prefix .* is no name in C of small letters"
    ) as told:
        export_bundle(checkpoint_folder, tmp_path / "b", to="c", options=options)
    assert "\n" not in str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_a_prefix_for_no_c_is_refused(checkpoint_folder: Path, tmp_path: Path) -> None:
    says = r"^--prefix one says what the names of c begin with, and no such file is written"
    with pytest.raises(UsageError, match=says):
        options = ReducedOptions(prefix="one")
        export_bundle(checkpoint_folder, tmp_path / "b", to="onnx", options=options)


class Named(nn.Module):
    """Inputs whose names C keeps to itself."""

    def forward(self, auto: Tensor, auto_: Tensor) -> Tensor:
        return torch.tanh(auto + 2 * auto_)


def test_names_that_are_one_in_c_are_told(tmp_path: Path) -> None:
    inputs = {"auto": "float32[batch, time, 3]", "auto_": "float32[batch, time, 3]"}
    says = (
        r"^the tensors auto and auto_ are both auto_ in C, which keeps auto to itself; rename one"
    )
    with pytest.raises(ContractError, match=says):
        export_module(Named(), inputs, tmp_path / "b", to="c")
    assert list(tmp_path.iterdir()) == []
