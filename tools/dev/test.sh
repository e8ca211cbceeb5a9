# shellcheck shell=bash
# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

# The ctest tests to run under a preset, as a regular expression. The release build is tested rather
# than a debug one since it is what users run, without assertions and with every optimisation; the
# sanitizer builds keep the assertions.
#
# What every program would do in every build takes hours to compile, so each flavour of the conformance
# suite is checked by one sanitizer: typed executors by ThreadSanitizer, the drop-in, behind which are the
# same services, by AddressSanitizer and UndefinedBehaviorSanitizer. What a single thread does to every
# object says little about threads. With --full everything runs everywhere, by both compilers, the
# benchmarks are built too, and every file of the conformance suite is compiled by itself.
tests_of_preset() { # <preset>
    case $1 in
        release) echo '.*' ;;
        asan) echo '^(unit|kernel|drop_in(\.io_uring)?|beast|peers|simulation|docstrings|stress|example\..*)$' ;;
        tsan) echo '^(unit|kernel|conformance|stress)$' ;;
        *) echo '.*' ;;
    esac
}

# Those of them that are left out.
tests_not_of_preset() { # <preset>
    case $1 in
        release) echo '^(drop_in(\.io_uring)?|beast|peers)$' ;;
        *) echo '^$' ;;
    esac
}

# What has to be built for these.
targets_of_preset() { # <preset>
    local programs=(test_unit test_kernel test_stress)
    case $1 in
        release) programs+=(test_conformance test_conformance_io_uring test_conformance_objects) ;;
        asan) programs+=(test_drop_in test_drop_in_io_uring test_beast peer_server_typed peer_server_drop_in) ;;
        tsan) programs+=(test_conformance) ;;
    esac
    case $1 in
        release | asan) programs+=(test_simulation test_docstrings test_example http_server echo_server info readme) ;;
    esac
    echo "${programs[@]}"
}

# Which of the ctest tests in a regular expression a filter means, as another one: a program alone where
# it goes on with the name of a test, otherwise those below it as well (example: example.parts, ...).
tests_of_filter() { # <preset> <filter> <expression> <expression of what is left out>
    local program=${2%%:*}
    program=${program//./\\.}
    case $2 in
        *:*) program="^$program\$" ;;
        *) program="^$program(\\.|\$)" ;;
    esac
    ctest --test-dir "$build_root/$1" --show-only --tests-regex "$program" |
        sed -nE 's/^ *Test +#[0-9]+: ([^ ]+)$/\1/p' | { grep -E "$3" || true; } | { grep -vE "$4" || true; } |
        sed -E 's/\./\\./g; s/.*/^&$/' | paste -sd'|'
}

# Runs a command without address space randomisation where that can be had. ThreadSanitizer before
# GCC 14 does not start where the kernel uses more than 28 random bits.
without_randomisation() {
    if setarch "$(uname -m)" -R true 2>/dev/null; then
        setarch "$(uname -m)" -R "$@"
    else
        "$@"
    fi
}

run_tests() { # <preset> <results file> <expression> <expression of what is left out>
    local preset=$1 results=$2 expression=$3 left_out=$4 launcher=() jobs
    jobs=$(nproc)
    [ "$preset" != tsan ] || launcher=(without_randomisation)
    rm -f "$results"
    mkdir -p "$logs"
    say "test $preset"
    # The line of each program goes to the terminal, everything else to the log.
    "${launcher[@]}" ctest --test-dir "$build_root/$preset" --output-on-failure \
        --parallel "$jobs" --timeout "$test_timeout" --tests-regex "$expression" --exclude-regex "$left_out" \
        --no-tests=ignore --output-junit "$results" \
        --test-output-size-passed 100000000 --test-output-size-failed 100000000 \
        </dev/null 2>&1 | tee "$logs/test-$preset.log" |
        grep --line-buffered -E '^ *[0-9]+/[0-9]+ Test ' >&2 || true
    # The results file, not the status, tells what happened: a run in which ctest itself came to
    # grief leaves none.
}

test_command() {
    local presets=() full='' filter='' preset
    while [ $# -gt 0 ]; do
        case $1 in
            --full) full=yes ;;
            -h | --help)
                usage
                return
                ;;
            --preset)
                [ -n "${2:-}" ] || fail "--preset takes a name: release, clang, debug, asan or tsan"
                presets=("$2")
                shift
                ;;
            --preset=*) presets=("${1#*=}") ;;
            --filter)
                [ -n "${2:-}" ] || fail "--filter takes <program>[:<test>]"
                filter=$2
                shift
                ;;
            --filter=*) filter=${1#*=} ;;
            *) fail "test does not know the argument '$1'" ;;
        esac
        shift
    done
    [ ${#presets[@]} != 0 ] || presets=(release ${full:+clang} asan tsan)
    install_packages build test

    local begin=$SECONDS test_timeout=900 arguments=()
    if [ -n "$full" ]; then
        export SAFER_RING_SOAK=full
        test_timeout=7200
    fi
    for preset in "${presets[@]}"; do
        configure_options=(-DSAFER_RING_TEST_UNITY=ON)
        [ -z "$full" ] || configure_options=(-DSAFER_RING_TEST_UNITY=OFF)
        # A sanitizer's report names functions then, without lines, which take a seventh of the compiling;
        # --preset has them.
        [ -n "$full" ] || [ ${#presets[@]} = 1 ] || [ "$preset" = release ] ||
            configure_options+=(-DCMAKE_CXX_FLAGS_DEBUG=-O0)
        local expression='.*' left_out='^$' targets=() results
        if [ -z "$full" ] && [ ${#presets[@]} != 1 ]; then
            expression=$(tests_of_preset "$preset")
            left_out=$(tests_not_of_preset "$preset")
            read -ra targets <<<"$(targets_of_preset "$preset")"
        fi
        results=$build_root/$preset/results.xml
        mkdir -p "$build_root/$preset"
        rm -f "$results"
        if [ -n "$filter" ]; then
            if ! configure_preset "$preset"; then
                arguments+=("$preset=$results")
                continue
            fi
            expression=$(tests_of_filter "$preset" "$filter" "$expression" "$left_out")
            if [ -z "$expression" ]; then
                say "nothing of $filter is run under $preset; --full and --preset know more"
                continue
            fi
            [[ $filter != *:* ]] || export BOOST_TEST_RUN_FILTERS=${filter#*:}
        fi
        if build_preset "$preset" "${targets[@]}"; then
            run_tests "$preset" "$results" "$expression" "$left_out"
        fi
        arguments+=("$preset=$results")
    done
    [ ${#arguments[@]} != 0 ] || fail "there is no test called $filter"
    say "done in $(elapsed $((SECONDS - begin)))"
    python3 "$source_dir/tools/dev/count.py" "${arguments[@]}"
}
