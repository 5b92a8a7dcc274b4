"""A host that is started once and runs many command lines: a process a test would spend its time
on starting an interpreter or a virtual machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence

TIMEOUT_S = 120
# The imports are made once; each command line runs in a fork of the process that made them.
PYTHON_SERVER = """
import json, os, sys, tempfile, traceback
sys.modules.update(dict.fromkeys({without!r}))
sys.path.insert(0, {folder!r})
import main
def run(arguments, environment):
    os.environ.update(environment)
    sys.argv[1:] = arguments
    try:
        return main.main()
    except SystemExit as end:
        return end.code
    except BaseException:
        traceback.print_exc()
        return 1
for line in sys.stdin:
    asked = json.loads(line)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            os.dup2(out.fileno(), 1), os.dup2(err.fileno(), 2)
            code = run(**asked)
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(code or 0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said = [(file.seek(0), file.read().decode(errors="replace"))[1] for file in (out, err)]
    print(json.dumps(dict(code=code, out=said[0], err=said[1])), flush=True)
"""


class Server:
    """A process that answers a line of JSON, ``arguments`` and ``environment``, by one of how that
    command line ended: ``code``, ``out`` and ``err``.
    """

    def __init__(self, words: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.words = words
        self.process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, **(environment or {})},
        )

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run a command line; the process is killed where it takes too long."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        late = threading.Timer(TIMEOUT_S, self.process.kill)
        late.start()
        stdin.write(json.dumps({"arguments": arguments, "environment": dict(environment)}) + "\n")
        stdin.flush()
        line = stdout.readline()
        late.cancel()
        assert line, f"the host ended at {arguments}"
        made = json.loads(line)
        return subprocess.CompletedProcess([*arguments], made["code"], made["out"], made["err"])

    def close(self) -> None:
        """End the process."""
        self.process.communicate(timeout=TIMEOUT_S)
