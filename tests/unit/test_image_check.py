"""`make image-check` fits the Dockerfile, and says what it cannot be done without."""

import re
from pathlib import Path

import pytest

from tests.image.build import BASE
from tests.image.needs import PROGRAMS, interpreter_prefix, missing
from tests.image.pip_settings import CERTIFICATES, CONFIGURATION, files

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def everywhere(program: str) -> str:
    return f"/usr/bin/{program}"


# --- what it needs -------------------------------------------------------------------------------


@pytest.mark.parametrize("gone", PROGRAMS)
def test_a_missing_program_is_named_with_the_package_that_has_it(gone: str) -> None:
    sentence = missing(
        which=lambda program: None if program == gone else everywhere(program),
        uid=0,
        may=lambda: True,
    )

    assert sentence is not None
    assert sentence.startswith(f"{gone} is not installed")
    assert sentence.endswith(f"apt-get install {PROGRAMS[gone]})")


def test_an_ordinary_account_is_told_that_it_takes_root() -> None:
    assert missing(which=everywhere, uid=1000, may=lambda: True) == (
        "only root can run debootstrap and chroot"
    )


def test_a_root_without_namespaces_is_told_so() -> None:
    sentence = missing(which=everywhere, uid=0, may=lambda: False)

    assert sentence is not None
    assert "namespaces" in sentence


def test_nothing_is_missing_where_everything_is_there() -> None:
    assert missing(which=everywhere, uid=0, may=lambda: True) is None


def test_a_prefix_without_an_interpreter_is_none(tmp_path: Path) -> None:
    assert interpreter_prefix({"PYTHON312_PREFIX": str(tmp_path)}) is None


def test_an_interpreter_of_another_version_is_none(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "python3.12"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'no 3.12' >&2\nexit 1\n")
    program.chmod(0o755)

    assert interpreter_prefix({"PYTHON312_PREFIX": str(tmp_path)}) is None


def test_the_prefix_is_the_one_that_the_interpreter_names(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "python3.12"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho /opt/python\n")
    program.chmod(0o755)

    assert interpreter_prefix({"PYTHON312_PREFIX": str(tmp_path)}) == Path("/opt/python")


# --- what it builds ------------------------------------------------------------------------------


def test_the_stand_in_is_the_base_of_every_stage() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.MULTILINE)

    assert len(bases) == 2
    assert {f"docker.io/library/{base}" for base in bases} == {BASE}


def test_the_dockerfile_compiles_the_standard_library_of_its_base() -> None:
    (version,) = re.findall(r"python:(\d+\.\d+)-", BASE)

    assert f"/usr/local/lib/python{version}\n" in DOCKERFILE


def test_the_build_reaches_the_index_as_this_machine_does(tmp_path: Path) -> None:
    certificates = tmp_path / "own.pem"
    certificates.write_text("-----BEGIN CERTIFICATE-----\n")

    made = files(
        f"global.cert='{certificates}'\n"
        "global.index-url='https://mirror.example/simple'\n"
        "global.trusted-host='mirror.example'\n"
    )

    assert made == {
        CERTIFICATES: "-----BEGIN CERTIFICATE-----\n",
        CONFIGURATION: (
            "[global]\n"
            f"cert = {CERTIFICATES}\n"
            "index-url = https://mirror.example/simple\n"
            "trusted-host = mirror.example\n"
        ),
    }


def test_directories_of_this_machine_stay_out_of_the_build() -> None:
    made = files(
        "global.extra-index-url='file:///srv/one https://mirror.example/two'\n"
        "global.find-links='/srv/wheels'\n"
        "global.constraint='/srv/constraints.txt'\n"
    )

    assert made == {CONFIGURATION: "[global]\nextra-index-url = https://mirror.example/two\n"}


@pytest.mark.parametrize(
    "listed",
    [
        ":env:.proxy='http://one:1'\nglobal.proxy='http://two:2'\n",
        "global.proxy='http://two:2'\n:env:.proxy='http://one:1'\n",
    ],
)
def test_the_environment_wins_over_pips_files(listed: str) -> None:
    assert files(listed) == {CONFIGURATION: "[global]\nproxy = http://one:1\n"}
