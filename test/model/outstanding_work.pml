// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// What keeps run() from returning: count_work(), work_started(), work_finished() and has_work() of
// include/safer_ring/ring/event_loop.hpp, after_completion, post() and adopt() of src/ring/event_loop.cpp.
// Handlers count for themselves what they begin and end, `private_work`; what others may end is in the
// common count before, by an advance of 16, here of ADVANCE.
//
// Two threads run handlers; those and a thread from outside begin and end tracked work and post. The count
// reaches zero when there is neither work nor a handler, and then only: else run() would return too early,
// or wait for ever.
//
// run 2 threads and a foreign one:
// run 2 threads and a foreign one, every run ends: CYCLES
// run 2 threads, longer advance: ADVANCE=3 POSTS=2
//
// mutant NO_ADVANCE:
// mutant ADVANCE_WHEN_ABOVE_ZERO:
// mutant ADVANCE_COUNTED_LATE:
// mutant HANDLER_ENDS_FIRST:
// mutant POST_NOT_COUNTED:
// mutant ADOPT_KEEPS_COUNT:
// mutant STOP_BELOW_ONE:

#include "mutants.h" // Written by the script `run`.

#ifndef ADVANCE
#define ADVANCE 2
#endif
#ifndef POSTS
#define POSTS 3
#endif
#define BEGINNINGS 3 // In all, as the posts, so that there are few states.

short outstanding = 1;   // outstanding_work_
byte ready = 1;          // Handlers in the loop's queue.
bool stopped;

byte alive = 1;          // Handlers, running or queued, and what is tracked, in truth.
byte tracked;            // What anybody may end.
byte posts = POSTS;      // To be made still.
byte beginnings = BEGINNINGS;
byte ended;

inline stop() { assert(alive == 0); stopped = true }

// fetch_sub
inline take_off(count)
{
    atomic {
        outstanding = outstanding - (count);
        if
        :: outstanding == 0 || (MUTANT(STOP_BELOW_ONE) && outstanding <= 1) -> stop()
        :: else
        fi
    }
}

inline has_work()
{
    atomic {
        if
        :: outstanding != 0
        :: else -> stop()
        fi
    }
}

// work_started(self): what it tracks is there for others when the call is over.
inline begin_tracked()
{
    if
    :: !MUTANT(NO_ADVANCE) && (private_work > 0 || (private_work == 0 && !MUTANT(ADVANCE_WHEN_ABOVE_ZERO))) ->
        if
        :: MUTANT(ADVANCE_COUNTED_LATE) ->
            atomic { private_work = private_work - ADVANCE + 1; alive++; tracked++ };
            outstanding = outstanding + ADVANCE
        :: else ->
            outstanding = outstanding + ADVANCE;
            atomic { private_work = private_work - ADVANCE + 1; alive++; tracked++ }
        fi
    :: else -> atomic { private_work++; alive++; tracked++ }
    fi
}

// What a handler keeps in private_ready until it is done.
inline post_privately()
{
    atomic {
        alive++;
        kept++;
        if
        :: !MUTANT(POST_NOT_COUNTED) -> private_work++
        :: else
        fi
    }
}

inline post()
{
    atomic { outstanding++; alive++ };
    ready++
}

// run() within a handler: the work and the handlers of the one outside are everybody's from here on.
inline adopt()
{
    outstanding = outstanding + private_work;
    if
    :: !MUTANT(ADOPT_KEEPS_COUNT) -> private_work = 0
    :: else
    fi;
    atomic { ready = ready + kept; kept = 0 }
}

inline after_completion()
{
    if
    :: MUTANT(HANDLER_ENDS_FIRST) -> take_off(1); private_work++
    :: else
    fi;
    alive--; // The handler.
    if
    :: private_work > 1 -> outstanding = outstanding + private_work - 1
    :: private_work < 1 -> take_off(1 - private_work)
    :: else
    fi;
    atomic { private_work = 0; ready = ready + kept; kept = 0 }
}

proctype runs()
{
    short private_work;
    byte kept;
    has_work();
    do
    :: stopped -> break
    :: atomic { !stopped && ready != 0 -> ready-- };
        do
        :: atomic { beginnings != 0 -> beginnings-- }; begin_tracked()
        :: atomic { tracked != 0 -> tracked--; alive--; private_work-- }
        :: atomic { posts != 0 -> posts-- }; post_privately()
        :: atomic { posts != 0 -> posts-- }; post()
        :: private_work != 0 -> adopt()
        :: break
        od;
        after_completion()
    od;
    ended++
}

// Who has an executor that tracks work may post before it lets go of it.
proctype foreign()
{
    do
    :: atomic { tracked != 0 -> tracked-- };
        if
        :: atomic { posts != 0 -> posts-- }; post()
        :: true
        fi;
        alive--;
        take_off(1)
    :: stopped && tracked == 0 -> break
    od;
    ended++
}

init
{
    atomic {
        run runs();
        run runs();
        run foreign()
    };
    ended == 3;
    assert(alive == 0 && outstanding == 0 && ready == 0)
}
