// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// The end of a request: finish(), cancel(), abandon() and wait() of src/ring/ring_core.cpp and
// ring_core_waiting.cpp, is_over() of include/safer_ring/ring/request.hpp, and the holders of
// include/safer_ring/ring/ring_operation.hpp, which look at `over_` without the lock and may destroy
// the request as soon as it is set.
//
// No access to a request that is gone, no two accesses of which neither happens before the other,
// and it is destroyed once. What happens before what is a number: that of the last access to the
// request that a thread, the lock or `over_` knows of.
//
// run 3 threads and the kernel:
// run 3 threads and the kernel, every run ends: CYCLES
//
// mutant STORE_BEFORE_LAST_ACCESS:
// mutant RELAXED_STORE:
// mutant CANCEL_WITHOUT_LOOKING:
// mutant ABANDON_WITHOUT_LOOKING:
// mutant DUE_AND_ABANDONED:

#include "mutants.h" // Written by the script `run`.

mtype = { waits_, polls_, abandons_, continues_, continues_and_abandons_ };

// The request.
bool in_kernel_state;     // Else queued, while it is known.
bool known = true;        // id_ is not none, and the slot table has it.
bool over_;
bool abandoned_;
bool cancel_requested_;
bool continuation_;
bool due_;
byte freed;

// ring_core, and the kernel.
bool lock;
bool with_kernel;
bool completed;
bool notified;            // Of changed_.

// Numbers of accesses.
byte last, known_to_lock, known_to_over;
byte ended;
bool holder_has_gone;

#define MAX(a, b) ((a) > (b) -> (a) : (b))

inline acquire() { atomic { !lock -> lock = true; seen = MAX(seen, known_to_lock) } }
inline release() { atomic { known_to_lock = MAX(seen, known_to_lock); lock = false } }

inline access()
{
    atomic { assert(freed == 0 && seen == last); last++; seen = last }
}
inline destroy()
{
    atomic { assert(freed == 0 && seen == last); freed++ }
}

inline is_over(answer)
{
    atomic {
        answer = over_;
        if
        :: over_ -> seen = MAX(seen, known_to_over)
        :: else
        fi
    }
}

inline set_over()
{
    atomic {
        over_ = true;
        if
        :: !MUTANT(RELAXED_STORE) -> known_to_over = seen
        :: else
        fi
    }
}

inline finish()
{
    access(); // take_back(), result_, state_
    atomic { in_kernel_state = false; known = false };
    if
    :: abandoned_ -> destroy()
    :: else ->
        if
        :: MUTANT(STORE_BEFORE_LAST_ACCESS) -> set_over()
        :: else
        fi;
        access(); // make_due()
        if
        :: continuation_ -> due_ = true
        :: else
        fi;
        if
        :: !MUTANT(STORE_BEFORE_LAST_ACCESS) -> set_over()
        :: else
        fi
    fi
}

// Of what the slot table finds; ends with send_cancellations().
inline cancel()
{
    access();
    if
    :: cancel_requested_
    :: !cancel_requested_ ->
        cancel_requested_ = true;
        if
        :: in_kernel_state -> completed = completed || with_kernel; with_kernel = false
        :: !in_kernel_state -> finish() // It was queued.
        fi
    fi;
    notified = true
}

inline abandon()
{
    acquire();
    access();
    if
    :: !MUTANT(DUE_AND_ABANDONED) -> continuation_ = false; due_ = false
    :: else
    fi;
    if
    :: !known && !MUTANT(ABANDON_WITHOUT_LOOKING) -> release(); destroy()
    :: else -> abandoned_ = true; cancel(); release()
    fi
}

// The thread that flushes, reaps and resumes.
proctype runs_the_ring()
{
    byte seen;
    do
    :: atomic { known && !in_kernel_state && !lock -> lock = true; seen = MAX(seen, known_to_lock) };
        if
        :: known && !in_kernel_state -> access(); in_kernel_state = true; with_kernel = true
        :: else
        fi;
        release()
    :: atomic { completed && !lock -> lock = true; seen = MAX(seen, known_to_lock) };
        completed = false;
        if
        :: known -> finish()
        :: else
        fi;
        notified = true;
        release()
    :: atomic { due_ && !lock -> lock = true; seen = MAX(seen, known_to_lock) };
        if
        :: due_ -> // take_due(); the handler gets the request.
            access();
            due_ = false;
            continuation_ = false;
            release();
            destroy()
        :: else -> release()
        fi
    :: ended == 2 && !known && !due_ -> break
    od;
    ended++
}

proctype holder(byte how)
{
    byte seen;
    bool over;
    if
    :: how == waits_ ->
        is_over(over);
        if
        :: over
        :: else ->
            acquire();
            do
            :: known -> atomic { notified = false; known_to_lock = MAX(seen, known_to_lock); lock = false };
                atomic { notified && !lock -> lock = true; seen = MAX(seen, known_to_lock) }
            :: !known -> break
            od;
            release()
        fi;
        access(); // The result.
        destroy()
    :: how == polls_ ->
        over_;
        is_over(over);
        access();
        destroy()
    :: how == abandons_ ->
        is_over(over);
        if
        :: over -> destroy()
        :: else -> abandon()
        fi
    :: how == continues_ || how == continues_and_abandons_ ->
        acquire();
        access();
        continuation_ = true;
        if
        :: known
        :: else -> due_ = true
        fi;
        release();
        if
        :: how == continues_
        :: else -> // The coroutine is destroyed by the thread that would resume it, or before.
            atomic { !lock -> lock = true; seen = MAX(seen, known_to_lock) };
            if
            :: !continuation_ -> release()
            :: else ->
                access();
                if
                :: !MUTANT(DUE_AND_ABANDONED) -> continuation_ = false; due_ = false
                :: else
                fi;
                if
                :: !known -> release(); destroy()
                :: known -> abandoned_ = true; cancel(); release()
                fi
            fi
        fi
    fi;
    ended++
}

proctype canceller()
{
    byte seen;
    acquire();
    if
    :: known || MUTANT(CANCEL_WITHOUT_LOOKING) -> cancel()
    :: else
    fi;
    release();
    ended++
}

active proctype kernel()
{
end:
    do
    :: atomic { with_kernel -> with_kernel = false; completed = true }
    od
}

init
{
    byte how;
    atomic {
        if
        :: how = waits_
        :: how = polls_
        :: how = abandons_
        :: how = continues_
        :: how = continues_and_abandons_
        fi;
        run runs_the_ring();
        run holder(how);
        run canceller()
    };
    ended == 3;
    assert(freed == 1 && !known)
}
