#!/usr/bin/env bash
# The only command: `./run.sh` starts the gateway, `./run.sh demo` shows it, `./run.sh test` proves it.
# Every other word goes to the CLI: `./run.sh check`, `./run.sh explain`, …
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv="$here/.venv"
oldest=12 # Python 3.12: what mitmproxy 12 asks for

say() { printf '%s\n' "$*" >&2; }

# Prints the first interpreter that really runs; a name on PATH may be a shim that fails.
find_python() {
    local candidate
    for candidate in "${PENSTOCK_PYTHON:-}" python3.13 python3.14 python3.12 python3 python \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[3-9]*/bin/python \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.12*/bin/python \
        "${UV_PYTHON_INSTALL_DIR:-$HOME/.local/share/uv/python}"/cpython-3.1[2-9]*/bin/python3 \
        /opt/homebrew/bin/python3.1[2-9] /usr/local/bin/python3.1[2-9]; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c "import sys, venv; sys.exit(sys.version_info < (3, $oldest))" >/dev/null 2>&1; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    return 1
}

# Installs the locked dependencies and these groups, unless this very lock is installed with them already.
set_up() {
    local groups=("$@") stamp="$venv/.penstock-lock" lock
    lock="$here $(cat "$here/uv.lock" "$here/pyproject.toml" | cksum)"
    if [ "$(head -n 1 "$stamp" 2>/dev/null)" = "$lock" ]; then
        local group all=yes
        for group in ${groups[@]+"${groups[@]}"}; do grep -qx "$group" "$stamp" || all=no; done
        [ "$all" = yes ] && return
    fi
    make_environment
    say "Installing the locked dependencies …"
    # --inexact leaves uv itself, and what an earlier group brought, in the environment.
    (cd "$here" && UV_PROJECT_ENVIRONMENT="$venv" "$venv/bin/uv" sync --quiet --locked --inexact \
        --no-default-groups ${groups[@]+"${groups[@]/#/--group=}"}) 1>&2
    printf '%s\n' "$lock" ${groups[@]+"${groups[@]}"} >"$stamp"
}

make_environment() {
    local python
    if ! "$venv/bin/python" -c "" >/dev/null 2>&1; then
        python=$(find_python) || {
            say "Penstock needs Python 3.$oldest or newer: install it, for example with 'uv python install 3.13', or set PENSTOCK_PYTHON."
            exit 2
        }
        say "Setting up $venv with $("$python" --version) …"
        rm -rf "$venv"
        "$python" -m venv "$venv"
    fi
    if ! "$venv/bin/uv" --version >/dev/null 2>&1; then
        say "Installing uv …"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check uv 1>&2
    fi
}

case "${1:-up}" in
test)
    shift
    set_up demo dev
    exec "$here/tests/run" "$@"
    ;;
demo) set_up demo ;; # it drives the official SDK, which the gateway itself does not need
*) set_up ;;
esac
exec "$venv/bin/python" -m penstock "$@"
