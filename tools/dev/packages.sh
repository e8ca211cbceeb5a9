# shellcheck shell=bash
# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

# What the commands need from the distribution. Each need is probed for by what is wanted of it, a
# command or a header, so that something not installed as a package counts too.

have_boost() {
    local header
    for header in /usr/include/boost/version.hpp /usr/local/include/boost/version.hpp; do
        if [ -e "$header" ] &&
            awk '$2 == "BOOST_VERSION" && $3 >= 108100 { found = 1 } END { exit !found }' "$header"
        then
            return 0
        fi
    done
    return 1
}

# Debian has a folder of libraries for each architecture; others have lib64, or lib alone.
have_boost_library() { # <name>
    local folder
    for folder in '/usr/lib/*' /usr/lib /usr/lib64 /usr/local/lib /usr/local/lib64; do
        ! compgen -G "$folder/libboost_$1.so" >/dev/null || return 0
    done
    return 1
}

have_liburing() {
    command -v pkg-config >/dev/null && pkg-config --atleast-version=2.3 liburing
}

have_openssl() {
    command -v pkg-config >/dev/null && pkg-config --atleast-version=3.0 openssl
}

# boost_package [library]: the default Boost of Debian 12 is 1.74; later releases have a recent one
# under the plain name. A fresh machine may have no lists to look into yet.
boost_package() {
    if apt-cache show libboost1.81-dev >/dev/null 2>&1 ||
        grep -qs '^VERSION_CODENAME=bookworm$' /etc/os-release; then
        echo "libboost${1:+-$1}1.81-dev"
    else
        echo "libboost${1:+-$1}-dev"
    fi
}

have_clang_sanitizers() {
    local sanitizer
    for sanitizer in address,undefined thread; do
        echo 'int main() {}' |
            clang++ -fsanitize=$sanitizer -x c++ - -o /dev/null >/dev/null 2>&1 || return 1
    done
}

# Where lists that are there have no such package, clang itself depends on what is in it.
clang_runtime_package() {
    if apt-cache show libclang-rt-dev >/dev/null 2>&1 || ! apt-cache show clang >/dev/null 2>&1; then
        echo libclang-rt-dev
    fi
}

# A compiler's command may have options behind it.
first_word() { # <command>
    local words
    read -r -a words <<<"$1"
    echo "${words[0]:-}"
}

# Prints the packages that are missing for the given purposes.
missing_packages() { # <build|test|bench|format>...
    local purpose
    for purpose; do
        case $purpose in
            build)
                command -v "$(first_word "${CXX:-c++}")" >/dev/null || echo g++
                command -v cmake >/dev/null || echo cmake
                command -v ninja >/dev/null || echo ninja-build
                command -v pkg-config >/dev/null || echo pkg-config
                have_boost || boost_package
                have_boost_library program_options || boost_package program-options
                have_liburing || echo liburing-dev
                have_openssl || echo libssl-dev
                ;;
            test)
                command -v python3 >/dev/null || echo python3
                have_boost_library context || boost_package context # For stackful coroutines.
                # What must not compile is tried with both compilers, and the sanitizer presets use this
                # one.
                command -v clang++ >/dev/null || echo clang
                have_clang_sanitizers || clang_runtime_package
                # The models of test/model, which it turns into C.
                command -v spin >/dev/null || echo spin
                command -v "$(first_word "${CC:-gcc}")" >/dev/null || echo gcc
                # Which system calls the server makes under load.
                command -v strace >/dev/null || echo strace
                # The clients of test/peers.
                command -v curl >/dev/null || echo curl
                command -v openssl >/dev/null || echo openssl
                command -v socat >/dev/null || echo socat
                command -v wrk >/dev/null || echo wrk
                ;;
            bench)
                command -v python3 >/dev/null || echo python3
                command -v wrk >/dev/null || echo wrk # The load on HTTP servers.
                command -v valgrind >/dev/null || echo valgrind # Counts instructions.
                ;;
            format)
                command -v clang-format >/dev/null || echo clang-format
                ;;
        esac
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# shellcheck disable=SC2207 # names of packages contain nothing that could be split or expanded
install_packages() { # <purpose>...
    local missing
    missing=($(missing_packages "$@"))
    [ ${#missing[@]} -gt 0 ] || return 0
    local by_hand="apt-get update && apt-get install ${missing[*]}"
    command -v apt-get >/dev/null ||
        fail "packages are missing, and there is no apt-get here; Debian calls them ${missing[*]}"
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null ||
            fail "packages are missing, and installing them takes root or sudo; as root: $by_hand"
        # Ask for the password here, where the terminal is still at hand. Who needs none may have none
        # either, and -v asks for it even so.
        sudo -n true 2>/dev/null || sudo -v ||
            fail "packages are missing, and sudo refused; as root: $by_hand"
    fi

    step "update the package lists" apt-update as_root apt-get -q update ||
        echo "    going on with the lists at hand" >&2
    # The lists may have been empty until now, and with them the choice of Boost.
    missing=($(missing_packages "$@"))
    # Nothing is removed for it: what is on this machine is not ours to take away.
    step "install ${missing[*]}" apt-install as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y --no-remove --no-install-recommends install "${missing[@]}" ||
        fail "the packages could not be installed: there may be no network, or another version of" \
            "one may be in the way; by hand: apt-get install ${missing[*]}"
    missing=($(missing_packages "$@"))
    [ ${#missing[@]} = 0 ] || fail "still missing after the installation: ${missing[*]}"
}
