#!/bin/sh
# The set-up steps of the Makefile. A step that fails prints one sentence; its whole output is kept
# in FOLDER/install.log.
#
#   install.sh venv FOLDER PYTHON    make an environment with pip in FOLDER
#   install.sh lock FOLDER FILE      install what FILE pins into it
#   install.sh checkout FOLDER       install this checkout into it, editable
set -u

step=$1 folder=$2
log=$folder/install.log
output=

# fail SENTENCE: on a full disk there may be no log.
fail() {
    kept=
    if [ -n "$output" ] && { mkdir -p "$folder" && printf '%s\n' "$output" >"$log"; } 2>/dev/null; then
        kept=" (the whole output: $log)"
    fi
    echo "$1$kept" >&2
    exit 1
}

last_line() { printf '%s\n' "$output" | grep -v '^[[:space:]]*$' | tail -n 1 | cut -c 1-200; }

said() { printf '%s\n' "$output" | grep -Eq "$1"; }

full='No space left on device|Errno 28|Disk quota exceeded|Errno 122'
fail_when_full() {
    if said "$full"; then
        fail "The disk is full: free about 600 MB where $folder lies and in ${TMPDIR:-/tmp}, then run make again"
    fi
}

make_venv() {
    python=$1
    "$folder/bin/python" -m pip --version >/dev/null 2>&1 && return
    if [ -z "$python" ]; then
        fail "No Python 3.11 or newer was found: install one, or name it, like make run PYTHON=/path/to/python"
    fi
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null </dev/null | head -n 1)
    case $version in
    2.* | 3.? | 3.10)
        fail "PYTHON=$python is Python $version, which is too old: name 3.11 or newer, like make run PYTHON=/path/to/python" ;;
    3.*) ;;
    *)
        fail "PYTHON=$python is not a Python interpreter: name one, like make run PYTHON=/path/to/python" ;;
    esac
    echo "Setting up $folder with $python ..." >&2
    output=$("$python" -m venv "$folder" 2>&1) && return
    if said 'ensurepip.*non-zero exit'; then # venv keeps to itself what ensurepip said
        output=$("$folder/bin/python" -m ensurepip 2>&1) && return
    fi
    fail_when_full
    if said 'ensurepip is not|No module named .?ensurepip|No module named .?venv'; then
        fail "Python $version has no venv module: install it (Debian, Ubuntu: apt install python$version-venv), or name another Python, like make run PYTHON=/path/to/python"
    fi
    fail "$python could not make an environment in $folder ($(last_line)): mend that, then run make again"
}

offline='Temporary failure in name resolution|Name or service not known|Network is unreachable|No route to host|Connection refused|Connection reset|CERTIFICATE_VERIFY_FAILED|Tunnel connection failed[^'"'"')]*|[Tt]imed out|HTTP error [0-9]+'
pip() {
    output=$("$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "$@" 2>&1) && return
    fail_when_full
    if said 'DO NOT MATCH THE HASHES'; then
        fail "pip got a package that is not the one in the lock file, so nothing was installed: check the package index that pip uses (pip config list)"
    fi
    if said "Retrying \(|Max retries|Could not fetch URL|ConnectionError|IncompleteRead|$offline"; then
        reason=$(printf '%s\n' "$output" | grep -Eo "$offline" | head -n 1)
        fail "pip could not reach its package index (${reason:-$(last_line)}): check the network, HTTPS_PROXY and PIP_INDEX_URL (pip config list), then run make again"
    fi
    fail "pip failed ($(last_line)): mend that, then run make again"
}

case $step in
venv) make_venv "$3" ;;
lock) pip --require-hashes -r "$3" ;;
checkout) pip --no-build-isolation --editable . ;;
esac
