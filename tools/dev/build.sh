# shellcheck shell=bash
# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

# build_preset <preset> [targets...]: configures and builds; all targets if none is named.
build_preset() {
    local preset=$1 status=0 targets=()
    shift
    [ $# = 0 ] || targets=(--target "$@")
    # Configuring again costs a second, and notices changed presets and compilers.
    (cd "$source_dir" && step "configure $preset" "configure-$preset" \
        cmake --preset "$preset") || status=$?
    [ $status = 0 ] || return $status
    step "build $preset${*:+: $*}" "build-$preset" \
        cmake --build "$build_root/$preset" "${targets[@]}" || return $?
}
