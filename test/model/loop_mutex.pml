// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// The lock of the loops: lock() and unlock() of include/safer_ring/ring/loop_mutex.hpp, lock_contended()
// and wake_one() of src/ring/loop_mutex.cpp.
// Mutual exclusion; what is written under the lock happens before the next one has it; nobody sleeps
// for ever; and no run goes on for ever.
//
// It sleeps behind a load, by a futex wait for as long as the word is the same (futex(2)); the
// kernel may also wake without reason. What happens before what is a number: that of the last critical
// section that a thread, or the word, knows of.
//
// run 3 threads:
// run 3 threads, every run ends: CYCLES SPURIOUS=0
//
// mutant NO_NOTIFY:
// mutant LOCKED_FOR_CONTENDED: CYCLES SPURIOUS=0
// mutant RELAXED_UNLOCK:
// mutant LOCK_IN_TWO_STEPS:

#include "mutants.h" // Written by the script `run`.

#define THREADS 3
#define ROUNDS 2
#ifndef SPURIOUS
#define SPURIOUS 1
#endif

mtype = { unlocked, locked, contended };

mtype state_ = unlocked;
bool asleep[THREADS];     // In the kernel, on the word.
byte inside;
byte last;                // Critical sections so far,
byte known_to_word;       // of which whoever takes the word with `acquire` learns,
byte spurious = SPURIOUS; // Wake-ups without reason, few, to be finite.

#define MAX(a, b) ((a) > (b) -> (a) : (b))

inline critical_section()
{
    atomic {
        inside++;
        assert(inside == 1);
        assert(known == last) // Else a data race with that one.
    };
    atomic { last++; known = last; inside-- }
}

// Of a read-modify-write; others in between do not end the release sequence.
inline acquire() { known = MAX(known, known_to_word) }
inline release() { known_to_word = MAX(known, known_to_word) }

inline notify_one()
{
    if
    :: asleep[0] -> asleep[0] = false
    :: asleep[1] -> asleep[1] = false
    :: asleep[2] -> asleep[2] = false
    :: else
    fi
}

proctype thread(byte me; bool has_it)
{
    byte rounds = ROUNDS;
    byte known;
    mtype before;

    if
    :: has_it -> goto has_lock // Locked with a plain store, when it was the only thread.
    :: else
    fi;
next_round:
    // ---- lock()
    if
    :: MUTANT(LOCK_IN_TWO_STEPS) && state_ == unlocked -> state_ = locked; atomic { acquire(); goto has_lock }
    :: atomic { !MUTANT(LOCK_IN_TWO_STEPS) && state_ == unlocked -> state_ = locked; acquire(); goto has_lock }
    :: state_ != unlocked
    fi;
    // ---- lock_contended()
    do
    :: atomic {
            before = state_;
            state_ = (MUTANT(LOCKED_FOR_CONTENDED) -> locked : contended);
            acquire();
            if
            :: before == unlocked -> break
            :: else
            fi
        };
        do // wait(contended)
        :: state_ != contended -> break
        :: atomic { state_ == contended -> asleep[me] = true };
            if
            :: !asleep[me]
            :: atomic { asleep[me] && spurious > 0 -> spurious--; asleep[me] = false }
            fi
        od
    od;
has_lock:
    critical_section();
    // ---- unlock()
    atomic {
        before = state_;
        state_ = unlocked;
        rounds--;
        if
        :: !MUTANT(RELAXED_UNLOCK) -> release()
        :: else
        fi
    };
    if
    :: before == contended && !MUTANT(NO_NOTIFY) -> atomic { notify_one() }
    :: else
    fi;
    if
    :: rounds > 0 -> goto next_round
    :: else
    fi
}

init
{
    atomic {
        if
        :: run thread(0, false)
        :: state_ = locked; run thread(0, true)
        fi;
        run thread(1, false);
        run thread(2, false)
    }
}
