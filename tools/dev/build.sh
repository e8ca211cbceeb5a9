# shellcheck shell=bash
# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

# What CMake is told beside the preset.
configure_options=()

# Configuring again costs a second, and notices changed presets and compilers.
configure_preset() { # <preset>
    (cd "$source_dir" && step "configure $1" "configure-$1" cmake --preset "$1" "${configure_options[@]}")
}

# build_preset <preset> [targets...]: configures and builds; all targets if none is named.
build_preset() {
    local preset=$1 targets=()
    shift
    [ $# = 0 ] || targets=(--target "$@")
    configure_preset "$preset" || return $?
    step "build $preset${*:+: $*}" "build-$preset" \
        cmake --build "$build_root/$preset" "${targets[@]}" || return $?
}
