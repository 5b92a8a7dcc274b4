"""A network is left exactly as it was: its mode, its random numbers, and what it is wrapped in."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from edgernn.errors import UsageError
from edgernn.models.weights import not_finite_of


def plain_network(net: nn.Module) -> nn.Module:
    """Return the network of the user's own code inside what ``torch.compile`` or parallel training
    wrapped around it.

    Raises:
        UsageError: there is no code of theirs, or no weights, to be looked at, or a weight is
            infinite or NaN.
    """
    if isinstance(net, torch.jit.ScriptModule):
        raise UsageError(
            "the network is a TorchScript module, whose code cannot be followed; give the module "
            "that it was made of"
        )
    if isinstance(net, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        net = net.module
    net = getattr(net, "_orig_mod", net)
    for name, tensor in (*net.named_parameters(), *net.named_buffers()):
        if tensor.device.type != "cpu":
            raise UsageError(
                f"{name} is on the device {tensor.device}; give the network on the CPU, as "
                "copy.deepcopy(net).cpu() does, with its weights loaded"
            )
    if wrong := not_finite_of(dict(net.named_parameters())):
        raise UsageError(
            f"the network has weights that are not finite: {wrong}; train it again, or restore an "
            "earlier checkpoint"
        )
    return net


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Look at a network in evaluation mode and without ``torch.compile``; put back each module's
    mode and the state of every generator of random numbers.
    """
    modes = [(module, module.training) for module in net.modules()]
    drawn, numpys = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]), _uncompiled():
        net.eval()
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training
            random.setstate(drawn)
            np.random.set_state(numpys)


@contextmanager
def _uncompiled() -> Iterator[None]:
    """Run what ``torch.compile`` made as it was written; nothing to do where it was never used."""
    dynamo = sys.modules.get("torch._dynamo")
    if dynamo is None:
        yield
        return
    with (
        torch.compiler.set_stance("force_eager"),
        dynamo.config.patch(error_on_nested_fx_trace=False),
    ):
        yield
