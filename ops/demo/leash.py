"""``python -m ops.demo.leash PARENT COMMAND …``: run a command that ends when its parent does.

Without it the processes of a demo that is killed outright would go on for ever.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG, Linux


def main(arguments: list[str]) -> None:
    """Ask the kernel for SIGTERM at the parent's death, then become the command."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
        if os.getppid() != int(arguments[0]):
            sys.exit(1)  # the parent was gone before the kernel had been asked
    os.execvp(arguments[1], arguments[1:])  # noqa: S606 - the demo's own commands


if __name__ == "__main__":
    main(sys.argv[1:])
