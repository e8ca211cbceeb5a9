# shellcheck shell=bash
# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

# Steps: one line each on standard error, with what they print kept in build/logs.

say() {
    echo "==> $*" >&2
}

fail() {
    echo "dev: $*" >&2
    exit 1
}

elapsed() { # <seconds>
    if [ "$1" -ge 60 ]; then
        printf '%dm%02ds' $(($1 / 60)) $(($1 % 60))
    else
        printf '%ds' "$1"
    fi
}

# Reads the output of a command, keeps it in the log, and shows how far ninja has come: in place on
# a terminal, once in half a minute elsewhere.
show_progress() { # <log>
    local line last_shown=$SECONDS progress=''
    while IFS= read -r line || [ -n "$line" ]; do
        printf '%s\n' "$line" >&3
        [[ $line =~ ^\[[0-9]+/[0-9]+\] ]] || continue
        progress=${BASH_REMATCH[0]}
        if [ -t 2 ]; then
            printf '\r    %s ' "$progress" >&2
        elif [ $((SECONDS - last_shown)) -ge 30 ]; then
            echo "    $progress" >&2
            last_shown=$SECONDS
        fi
    done 3>"$1"
    if [ -n "$progress" ] && [ -t 2 ]; then
        printf '\r\033[K' >&2
    fi
}

# step <text> <name of the log> <command...>: on failure shows the end of the log and returns the
# status of the command.
step() {
    local text=$1 log=$logs/$2.log begin=$SECONDS status=0
    shift 2
    mkdir -p "$logs" || fail "there is no place for the build and its logs: $build_root cannot be written to"
    say "$text"
    "$@" </dev/null 2>&1 | show_progress "$log" || status=${PIPESTATUS[0]}
    if [ "$status" != 0 ]; then
        # A compiler's first errors are worth more than the notes that follow the last one.
        grep -E -m 10 'error:|CMake Error|^E: ' "$log" | cut -c1-250 | sed 's/^/    /' >&2 || true
        echo "    the end of the log:" >&2
        tail -n 25 "$log" | cut -c1-250 | sed 's/^/    /' >&2
        echo "    failed after $(elapsed $((SECONDS - begin))); the whole log: ${log#"$source_dir"/}" >&2
        return "$status"
    fi
    if [ $((SECONDS - begin)) -ge 5 ]; then
        echo "    $(elapsed $((SECONDS - begin)))" >&2
    fi
}
