#!/bin/sh
# Makes the secrets of compose.yaml, each a file in deploy/secrets, and leaves alone what is there.
# The folder is closed to other accounts; the files are not, because containers run as others.
set -eu
umask 077
cd "$(dirname "$0")"
mkdir -p secrets

made() {
    [ -e "secrets/$1" ] && return
    printf '%s' "$2" > "secrets/$1"
    chmod 0444 "secrets/$1"
    echo "made secrets/$1" >&2
}

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

made postgres_password "$(random)"
made database_url "postgresql://trader:$(cat secrets/postgres_password)@postgres:5432/trader"
made trader_admin_token "$(random)"
made trader_viewer_token "$(random)"
made grafana_password "$(random)"
