"""The image: a stand-in for its base, then the Dockerfile on it, then the check of the result.

`python -m tests.image.build FOLDER PREFIX`, started by `python -m tests.image`.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from tests.image.needs import NAMESPACES
from tests.image.pip_settings import pip_settings

ROOT: Final = Path(__file__).resolve().parents[2]
BASE: Final = "docker.io/library/python:3.12-slim-bookworm"
IMAGE: Final = "localhost/upbit-ai-trader:image-check"

#: What the real base has beside Debian's essential packages: the libraries that CPython links.
PACKAGES: Final = (
    "ca-certificates", "netbase", "tzdata",
    "libbz2-1.0", "libffi8", "libgdbm6", "liblzma5", "libncursesw6", "libreadline8",
    "libsqlite3-0", "libssl3", "libuuid1", "zlib1g",
)  # fmt: skip
#: As in the real base, neither compiled modules nor the interpreter's own tests; nor what is
#: installed into this machine's interpreter.
LEFT_OUT: Final = ("__pycache__", "test", "tests", "idle_test", "libpython*.a", "site-packages/*")

DEBOOTSTRAP_S: Final = 900
COPY_S: Final = 300
BUILD_S: Final = 1200
TRADE_S: Final = 420


class StepFailed(Exception):
    """A step ended badly or took too long; its message has the end of the output."""


class Steps:
    """Commands, each with a time of its own; the output is kept in files of `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # buildah unpacks into TMPDIR, and everything has to be below the folder.
        self._environment = os.environ | {"TMPDIR": str(folder)}

    def run(self, *command: str | Path, within_s: float, shown: bool = False) -> str:
        """Return what the command wrote to stdout.

        Raises: StepFailed.
        """
        log = self.folder / "step.log"
        with log.open("wb") as err:
            try:
                ended = subprocess.run(
                    command,
                    cwd=ROOT,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=None if shown else subprocess.PIPE,
                    stderr=None if shown else err,
                    timeout=within_s,
                    check=False,
                )
            except subprocess.TimeoutExpired as exc:
                raise StepFailed(f"{command[0]}: not done in {within_s:.0f} s") from exc
        told = b"" if ended.stdout is None else ended.stdout
        if ended.returncode != 0:
            end = (told + log.read_bytes())[-4000:].decode(errors="replace")
            raise StepFailed(f"{command[0]} ended with {ended.returncode}\n{end}")
        return told.decode(errors="replace")

    def buildah(self, *arguments: str | Path, within_s: float = COPY_S) -> str:
        # vfs copies whole layers, and needs nothing of the kernel or of the file system.
        places = ("--root", self.folder / "store", "--runroot", self.folder / "run")
        return self.run(
            "buildah", *places, "--storage-driver", "vfs", *arguments, within_s=within_s
        )


def make_base(steps: Steps, prefix: Path) -> None:
    """Store a stand-in for the base image, under the real one's name."""
    root = steps.folder / "base"
    steps.run(
        "debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", "bookworm", root,
        within_s=DEBOOTSTRAP_S,
    )  # fmt: skip
    for downloads in ("var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(root / downloads)
    copied = ["bin/python3.12", "lib/python3.12"]
    copied += [str(library.relative_to(prefix)) for library in prefix.glob("lib/libpython3*.so*")]
    steps.run(
        "tar", "-C", prefix, *(f"--exclude={pattern}" for pattern in LEFT_OUT),
        "-cf", steps.folder / "python.tar", *copied, within_s=COPY_S,
    )  # fmt: skip
    steps.run(
        "tar", "-C", root / "usr/local", "--no-same-owner", "-xf", steps.folder / "python.tar",
        within_s=COPY_S,
    )  # fmt: skip
    for name in ("python3", "python"):
        (root / "usr/local/bin" / name).symlink_to("python3.12")
    steps.run("chroot", root, "/sbin/ldconfig", within_s=COPY_S)
    steps.run("chroot", root, "/usr/local/bin/python", "-I", "-c", "import ssl", within_s=COPY_S)
    steps.run("tar", "-C", root, "-cf", steps.folder / "base.tar", ".", within_s=COPY_S)
    (steps.folder / "Basefile").write_text(
        "FROM scratch\n"
        "ADD base.tar /\n"
        "ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin\n"
    )
    steps.buildah(
        "bud", "--isolation", "chroot", "--format", "docker", "--tag", BASE,
        "--file", steps.folder / "Basefile", steps.folder,
    )  # fmt: skip


def build(steps: Steps) -> dict[str, Any]:
    """Build the Dockerfile and return the image's configuration."""
    # pip inside the build reads this machine's network settings. A mount is not part of a layer;
    # of a file that was not there before, an empty one remains.
    mounts = []
    for place, text in pip_settings(sys.executable).items():
        kept = steps.folder / Path(place).name
        kept.write_text(text, encoding="utf-8")
        mounts += ["--volume", f"{kept}:{place}:ro"]
    steps.buildah(
        "bud", "--isolation", "chroot", "--network", "host", "--pull-never", "--format", "docker",
        *mounts, "--tag", IMAGE, ROOT, within_s=BUILD_S,
    )  # fmt: skip
    told = json.loads(steps.buildah("inspect", "--type", "image", IMAGE))
    config: dict[str, Any] = told["Docker"]["config"]
    return config


def sizes(steps: Steps) -> str:
    """Return one sentence on the size of the image, of which the base's part is a stand-in's."""
    listed = json.loads(steps.buildah("images", "--json"))
    size = {name: image["size"] for image in listed for name in image["names"] or ()}
    return f"the image is {size[IMAGE]}, {size[BASE]} of it the stand-in for its base"


def trade(steps: Steps, config: dict[str, Any]) -> None:
    """Start the image in namespaces of its own, where its address can be no other machine's."""
    container = steps.buildah("from", "--pull-never", IMAGE).strip()
    mounted = steps.buildah("mount", container).strip()
    (steps.folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    steps.run(
        *NAMESPACES, sys.executable, "-m", "tests.image.inside", mounted, steps.folder,
        within_s=TRADE_S, shown=True,
    )  # fmt: skip


def main() -> int:
    folder, prefix = map(Path, sys.argv[1:])
    steps, began = Steps(folder), time.monotonic()

    def told(what: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {what}", flush=True)

    try:
        make_base(steps, prefix)
        told("the base is made: bookworm and the CPython of this machine")
        config = build(steps)
        told(f"the Dockerfile is built: {sizes(steps)}")
        trade(steps, config)
    except StepFailed as exc:
        told(f"FAILED: {exc}")
        return 1
    told("the image trades and stops")
    return 0


if __name__ == "__main__":
    sys.exit(main())
