"""What pip inside the build needs to reach an index as pip on this machine does."""

import ast
import re
import subprocess
from pathlib import Path
from typing import Final

#: Where pip in the build finds them. Nothing of the checkout names a host.
CONFIGURATION: Final = "/etc/pip.conf"
CERTIFICATES: Final = "/etc/pip-certificates.pem"

_REMOTE: Final = ("index-url", "extra-index-url")
_KEPT: Final = (*_REMOTE, "cert", "proxy", "timeout", "trusted-host")
_LINE: Final = re.compile(r"^(?P<where>[^.]+)\.(?P<name>[a-z-]+)=(?P<value>'.*'|\".*\")$")


def pip_settings(python: str) -> dict[str, str]:
    """Return path -> text of the files that the build's pip has to find."""
    told = subprocess.run(
        [python, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    return files(told.stdout)


def files(listed: str) -> dict[str, str]:
    """Return path -> text for the output of `pip config list`.

    Directories of this machine are left out, because the build does not see them.
    """
    values = _values(listed)
    made = {}
    if "cert" in values:
        made[CERTIFICATES] = Path(values["cert"]).read_text(encoding="utf-8")
        values["cert"] = CERTIFICATES
    lines = [f"{name} = {value}" for name, value in values.items()]
    return made | {CONFIGURATION: "\n".join(["[global]", *lines, ""])}


def _values(listed: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for line in listed.splitlines():
        found = _LINE.match(line)
        if found is None or found["name"] not in _KEPT:
            continue
        words = str(ast.literal_eval(found["value"])).split()
        if found["name"] in _REMOTE:
            words = [word for word in words if word.startswith(("http://", "https://"))]
        # The environment is listed as ":env:" and wins over the files.
        if words and (found["name"] not in values or found["where"] == ":env:"):
            values[found["name"]] = " ".join(words)
    return values
