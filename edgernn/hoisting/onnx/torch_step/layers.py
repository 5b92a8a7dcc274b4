"""ONNX operators that hold weights, as torch modules: products, convolutions, recurrent layers
written out in products and gates.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812  # as everybody calls it
from torch import Tensor, nn

from edgernn.hoisting.onnx.torch_step.call import Call

_BENT: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "softsign": F.softsign,
    "softplus": F.softplus,
}
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_DEFAULTS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


def linear(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    """Return a layer that multiplies by ``weight [out, in]``."""
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    made.weight = nn.Parameter(weight.detach().clone(), requires_grad=False)
    if bias is not None:
        made.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
    return made


class Convolution(nn.Module):
    """A convolution, forward or transposed, with its weights."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self.transposed = call.node.op_type == "ConvTranspose"
        self.weight = nn.Parameter(call.tensor(1).detach().clone(), requires_grad=False)
        held = call.tensor(2).detach().clone() if call.maybe(2) is not None else None
        self.bias = None if held is None else nn.Parameter(held, requires_grad=False)
        count = self.weight.ndim - 2
        pads = call.get("pads") or [0] * 2 * count
        if call.get("auto_pad", "NOTSET") not in {"NOTSET", "VALID"} or count > 2:
            raise call.refused(f"pads by {call.get('auto_pad')} over {count} axes")
        self.before, self.after = pads[:count], pads[count:]
        self.strides = call.get("strides") or [1] * count
        self.dilations = call.get("dilations") or [1] * count
        self.groups = call.get("group", 1)
        self.more = call.get("output_padding") or [0] * count
        if self.transposed and self.before != self.after:
            raise call.refused("cuts more on one side")

    def forward(self, x: Tensor) -> Tensor:
        """Slide over ``x [N, C, …]``."""
        one = self.weight.ndim == 3
        if self.transposed:
            turned = F.conv_transpose1d if one else F.conv_transpose2d
            return turned(
                x, self.weight, self.bias, self.strides, self.before, self.more, self.groups,
                self.dilations,
            )  # fmt: skip
        function = F.conv1d if one else F.conv2d
        padding = self.before
        if self.before != self.after:
            around = zip(reversed(self.before), reversed(self.after), strict=True)
            x, padding = F.pad(x, [size for pair in around for size in pair]), [0] * len(padding)
        return function(
            x, self.weight, self.bias, self.strides, padding, self.dilations, self.groups
        )


class Recurrent(nn.Module):
    """An LSTM, GRU or RNN operator over an axis of a fixed length, written out."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self.op, self.width = call.node.op_type, int(call.get("hidden_size"))
        self.direction = call.get("direction", "forward")
        if call.get("clip") is not None or call.get("layout", 0) or call.get("input_forget", 0):
            raise call.refused("has clip, layout or input_forget")
        if call.maybe(4) is not None or (call.maybe(7) is not None and self.op == "LSTM"):
            raise call.refused("has lengths or peepholes")
        w, r = call.tensor(1), call.tensor(2)  # [D, g · H, I], [D, g · H, H]
        count = _GATES[self.op] * self.width
        bias = call.tensor(3) if call.maybe(3) is not None else w.new_zeros(len(w), 2 * count)
        names = [name.lower() for name in _names(call, len(w))]
        if unknown := [name for name in names if name not in _BENT]:
            raise call.refused(f"has the activation {unknown[0]}")
        each = len(_DEFAULTS[self.op])
        after = bool(call.get("linear_before_reset", 0))
        self.ways = nn.ModuleList(
            _Cell(
                self.op, w[at], r[at], bias[at, :count], bias[at, count:],
                names[at * each : (at + 1) * each], after,
            )
            for at in range(len(w))
        )  # fmt: skip

    def forward(self, x: Tensor, h: Tensor | None, c: Tensor | None) -> tuple[Tensor, ...]:
        """Run over ``x [S, N, I]`` from ``h`` and ``c [D, N, H]``; return Y, Y_h and Y_c."""
        zeros = x.new_zeros([len(self.ways), x.shape[1], self.width])
        h, c = zeros if h is None else h, zeros if c is None else c
        length, ys, hs, cs = int(x.shape[0]), [], [], []
        for at, cell in enumerate(self.ways):
            backwards = self.direction == "reverse" or at == 1
            own, cell_state, made = h[at], c[at], []
            for place in reversed(range(length)) if backwards else range(length):
                own, cell_state = cell(x[place], own, cell_state)
                made.append(own)
            ys.append(torch.stack(made[::-1] if backwards else made))  # [S, N, H]
            hs.append(own)
            cs.append(cell_state)
        return torch.stack(ys, 1), torch.stack(hs), torch.stack(cs)


def _names(call: Call, ways: int) -> list[str]:
    found = call.get("activations")
    return [
        name.decode() if isinstance(name, bytes) else name
        for name in found or _DEFAULTS[call.node.op_type] * ways
    ]


class _Cell(nn.Module):
    """One direction of a recurrent operator: gates in ONNX's order."""

    def __init__(
        self,
        op: str,
        w: Tensor,
        r: Tensor,
        from_input: Tensor,
        from_hidden: Tensor,
        bent: list[str],
        after: bool,
    ) -> None:
        super().__init__()
        self.op, self.bent, self.after = op, bent, after
        width = r.shape[1]
        if op != "GRU":
            self.from_input = linear(w, from_input + from_hidden)
            self.from_hidden = linear(r)
        elif after:
            self.from_input = linear(w, from_input)
            self.from_hidden = linear(r, from_hidden)
        else:
            self.from_input = linear(w, from_input + from_hidden)
            self.from_hidden = linear(r[: 2 * width])
            self.candidate = linear(r[2 * width :])

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Step from ``x [N, I]``, ``h`` and ``c [N, H]``."""
        p, q = self.from_input(x), self.from_hidden(h)
        f, *rest = (_BENT[name] for name in self.bent)
        if self.op == "RNN":
            return f(p + q), c
        if self.op == "LSTM":
            i, o, forget, g = (p + q).chunk(4, -1)
            c = f(forget) * c + f(i) * rest[0](g)
            return f(o) * rest[1](c), c
        pz, pr, ph = p.chunk(3, -1)
        if self.after:
            qz, qr, qh = q.chunk(3, -1)
            z, r = f(pz + qz), f(pr + qr)
            n = rest[0](ph + r * qh)
        else:
            qz, qr = q.chunk(2, -1)
            z, r = f(pz + qz), f(pr + qr)
            n = rest[0](ph + self.candidate(r * h))
        return (1 - z) * n + z * h, c
