"""How each weight of a ``.tflite`` file is rounded: to what its operator's kernel multiplies as
integers, and where that loses least.

    w ≈ q · s

matrices      int8: a scale for each row; int4: for each block of 64 of its values, or 32, or a row
tables        8 bits, a scale for each row, of which a step reads one
convolutions  a scale for each output

What they are multiplied with is rounded to 8 bits at every call by the runtime's kernels. Over a
trained model of characters, H = 256, int4 loses 1.4 % of perplexity with a scale for each row,
0.8 % with the table in 8 bits, and 0.2 % with blocks of 64 or 32 beside that, which take a tenth
more time than rows.
"""

from __future__ import annotations

from edgernn.sessions.litert.model_file import ModelFile

Rule = tuple[str, str, int, str]  # pattern of an output's name, operator, bits, granularity
BLOCKS = (64, 32)  # values, the first that divides a row
INTEGERS = frozenset({"int8", "int4"})
_ALL, _ROWS = ".*", "CHANNELWISE"
_MATRIX, _TABLE = "FULLY_CONNECTED", "EMBEDDING_LOOKUP"


def rules_for(model: ModelFile, precision: str) -> list[Rule]:
    """Return the rules for a file of floats, of which the last that fits an operator counts."""
    if precision == "int8":
        return [(_ALL, "*", 8, _ROWS)]
    rules: list[Rule] = [(_ALL, "*", 4, _ROWS), (_ALL, _TABLE, 8, _ROWS)]
    for operator in model.operators:
        if operator.kind == _MATRIX:
            made, columns = operator.outputs[0], model.tensors[operator.inputs[1]].shape[-1]
            block = next((size for size in BLOCKS if columns % size == 0), None)
            granularity = _ROWS if block is None else f"BLOCKWISE_{block}"
            rules.append((f"^{model.tensors[made].name};?$", _MATRIX, 4, granularity))
    return rules
