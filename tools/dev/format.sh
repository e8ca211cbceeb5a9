# shellcheck shell=bash
# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

format_command() {
    local mode=(-i) files=()
    case ${1:-} in
        '') ;;
        --check) mode=(--dry-run -Werror) ;;
        *) fail "format takes no argument but --check" ;;
    esac
    install_packages format
    mapfile -d '' files < <(cd "$source_dir" &&
        find include src test example benchmark -name '*.[chi]pp' -print0 | sort -z)
    [ ${#files[@]} -gt 0 ] || fail "there is nothing to format"
    say "format ${#files[@]} files"
    cd "$source_dir" && clang-format "${mode[@]}" "${files[@]}"
}
