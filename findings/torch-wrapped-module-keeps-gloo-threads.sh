#!/usr/bin/env bash
# torch.distributed.destroy_process_group ends the threads of the gloo backend only where no module was ever wrapped in
# DistributedDataParallel.
#
# Without a wrapped module the process has no thread of gloo after it. Where one was made, and deleted again and collected,
# its threads go on, with whatever tensors their last work holds. When the interpreter ends in that moment, such a thread
# asks for a lock that is gone, and the process is aborted: "terminate called without an active exception", seen once
# on a busy machine, after all of the run's results were written. A program under torchrun that must end
# with 0 should leave with os._exit.
#
# Seen: torch 2.13.0 for the CPU, Python 3.11, Linux.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > threads.py <<'PY'
import gc
import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist

dist.init_process_group("gloo")
if sys.argv[1] == "wrapped":
    wrapped = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(3, 3))
    del wrapped
    gc.collect()
dist.barrier()
dist.destroy_process_group()
gc.collect()
names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
if os.environ["RANK"] == "0":
    print(sum("gloo" in name for name in names), flush=True)
os._exit(0)
PY

python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check numpy torch==2.13.0
export OMP_NUM_THREADS=1
bare=$(env/bin/python -m torch.distributed.run --nproc-per-node=2 --standalone threads.py bare 2>/dev/null)
wrapped=$(env/bin/python -m torch.distributed.run --nproc-per-node=2 --standalone threads.py wrapped 2>/dev/null)
echo "threads of gloo after destroy_process_group: $bare without a wrapped module, $wrapped after one was deleted"
[ "$bare" -eq 0 ] && [ "$wrapped" -gt 0 ]
