"""`make image-check`: the Dockerfile is built by buildah, started under chroot, and has to trade.

No container engine and no image registry is needed: the base image is made here, of Debian
bookworm from debootstrap and the CPython 3.12 of this machine. Where an engine is at hand,
`docker build` and `docker run` check more.

All of it happens in a temporary directory and in namespaces, so that whatever goes wrong leaves
no process, no mount and no file behind.
"""

import os
import signal
import subprocess
import sys
import tempfile
from typing import Final

from tests.image.needs import interpreter_prefix, missing

LONGEST_S: Final = 2400  #: for everything; each step has a bound of its own


def main() -> int:
    """Return 0 when the image trades or when the check cannot be done here, else 1."""
    if reason := missing():
        print(f"image-check: skipped, {reason}.")
        return 0
    prefix = interpreter_prefix(os.environ)
    if prefix is None:
        print(
            "image-check: skipped, no CPython 3.12 was found:"
            " name the prefix of one in PYTHON312_PREFIX."
        )
        return 0
    # A SIGTERM is an exception, so that the directory is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = tempfile.mkdtemp(prefix="image-check-")
    try:
        return _apart(folder, str(prefix))
    finally:
        # The mounts have ended with their namespace; if one has not, it is not emptied.
        subprocess.run(["rm", "-rf", "--one-file-system", folder], check=False)


def _apart(folder: str, prefix: str) -> int:
    """Run the build in a namespace of its own: its processes and mounts end with it."""
    command = [
        "unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child",
        sys.executable, "-m", "tests.image.build", folder, prefix,
    ]  # fmt: skip
    with subprocess.Popen(command) as apart:
        try:
            return apart.wait(LONGEST_S)
        except subprocess.TimeoutExpired:
            print(f"image-check: ended after {LONGEST_S} s.")
            return 1
        finally:
            apart.kill()


if __name__ == "__main__":
    sys.exit(main())
