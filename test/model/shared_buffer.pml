// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// The owners of the bytes: the copy constructor and the destructor of
// include/safer_ring/ring/shared_buffer.hpp, on three threads that read, pass on copies, and drop
// theirs. The bytes are freed once, with the last owner, and every read happens before.
//
// What happens before what is a set: the threads whose last read a thread, or the count, knows of.
//
// run 3 threads:
// run 3 threads, every run ends: CYCLES
//
// mutant RELAXED_DROP:
// mutant DROP_IN_TWO_STEPS:
// mutant COPY_WITHOUT_COUNT:

#include "mutants.h" // Written by the script `run`.

#define THREADS 3

byte owners = 1;
byte freed;
byte reads;               // Threads that have read, a bit each, ...
byte known_to_count;      // ... and those of which the count knows.
chan passed[THREADS] = [THREADS] of { byte }; // Copies on their way; with them what the giver knows.
byte ended;

inline read()
{
    atomic { assert(freed == 0); reads = reads | (1 << me); known = known | (1 << me) }
}

// Relaxed: who copies has one, so that the count cannot reach zero meanwhile.
inline copy()
{
    atomic {
        assert(freed == 0);
        if
        :: !MUTANT(COPY_WITHOUT_COUNT) -> owners++
        :: else
        fi
    }
}

inline drop()
{
    if
    :: MUTANT(DROP_IN_TWO_STEPS) -> before = owners; owners = before - 1
    :: else ->
        atomic { // fetch_sub, acq_rel
            assert(freed == 0);
            before = owners;
            owners--;
            if
            :: !MUTANT(RELAXED_DROP) ->
                known_to_count = known_to_count | known;
                known = known_to_count
            :: else
            fi
        }
    fi;
    if
    :: before == 1 -> atomic { assert(known == reads); freed++ }
    :: else
    fi;
    before = 0
}

proctype thread(byte me)
{
    byte known, before, with;
    byte held = me == 0;
    byte to_copy = 1;               // Copies that it makes for itself,
    byte to_pass = (me == 0 -> THREADS - 1 : 0); // and for the other threads.
    if
    :: me == 0
    :: else -> atomic { passed[me]?with; known = with; with = 0; held++ }
    fi;
    do
    :: held > 0 && to_copy > 0 -> copy(); atomic { to_copy--; held++ }
    :: held > 0 && to_pass > 0 -> copy(); atomic { passed[to_pass]!known; to_pass-- }
    :: to_pass == 0 && held > 0 -> read(); drop(); held--
    :: held == 0 -> break
    od;
    ended++
}

init
{
    atomic {
        run thread(0);
        run thread(1);
        run thread(2)
    };
    ended == THREADS;
    assert(freed == 1 && owners == 0)
}
