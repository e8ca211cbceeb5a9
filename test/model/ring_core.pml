// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// Who waits in the kernel and who sleeps: src/ring/ring_core.cpp (submit, flush, enter, complete,
// finish, cancel, abandon) and src/ring/ring_core_waiting.cpp (wait_once, sleep, wake, hand_over,
// wait, continue_with, drive, poll). An inline or a label below is the function of that name.
//
// The lock is an ideal one here; loop_mutex.pml is about the real one. What a thread does under it
// is one step, except where it meets the kernel, which goes on meanwhile, and so does the thread
// that is in the kernel, without the lock. The queues are as in include/safer_ring/backend/backend.hpp;
// how the kernel takes entries and waits is io_uring_enter(2), with EBUSY as Linux 5.10 answers it.
//
// Every thread submits one request and waits for it in one of the ways there are. Nobody polls for
// ever, so that all runs end: one that stops early is a thread that waits for ever.
//
// Not in it: chains of several requests (a time limit stands for them), requests with parts, an
// exception from a handler, and a kernel that takes nothing for want of memory (EAGAIN, ENOMEM).
//
// run 2 threads:
// run 3 threads, fewer ways: THREADS=3
//
// mutant SPLIT_CHAINS:
// mutant NO_FLUSH_ON_SUBMIT:
// mutant NO_SECOND_FLUSH:
// mutant REAP_UNDER_WAITER:
// mutant NO_NOTIFY:
// mutant NO_WAKE:

#ifndef THREADS
#define THREADS 2
#endif
#ifndef SQ_SIZE
#define SQ_SIZE 2
#endif
#ifndef CQ_SIZE
#define CQ_SIZE 1
#endif
#define NONE 255

#include "mutants.h" // Written by the script `run`.

// What the kernel needs to complete the first thread's request: nothing, the end of the second
// thread's (which writes what it reads), or a cancellation.
mtype = { nothing, the_other, cancellation };
// The state of a request, without the cases where one says it all.
mtype = { idle, queued, in_kernel };
// Entries of the submission queue; `limit` is the link time-out behind its request.
mtype = { start, limit, cancel_entry, no_op };
// What the thread in the kernel may still take out of the submission queue.
mtype = { none, fresh, stale };
// Completions; `again` is EINTR, and `missed` a cancellation that found nothing.
mtype = { done, again, answered, missed };
// What a thread does about its request.
mtype = { waits_, waits_limited, polls_, runs_, flushes_, leaves_it, is_called, abandons_ };

// ---- the kernel's
chan sq = [SQ_SIZE] of { mtype, byte };   // Published entries.
chan cq = [CQ_SIZE] of { mtype, byte };
chan overflow = [6] of { mtype, byte };
bool with_kernel[THREADS];                // It owes a completion.
bool has_happened[THREADS];               // The effect of a request, for the outside world.
bool has_reached[THREADS];                // The kernel has seen it.
mtype needs = nothing;
byte surprises = THREADS == 2;                       // Cancellations that find nothing although it is there, and
                                          // requests that are interrupted: few, to be finite.

// ---- ring_core's
bool lock;
chan queued_ = [THREADS] of { byte };
bool in_kernel_;
mtype claim_ = none;
bool flush_missed_;
bool cancel_missed_;
byte sleepers_;
byte continuations_;

// ---- request's
mtype state[THREADS] = idle;
bool known[THREADS];                      // id_ is not none.
bool over[THREADS];
bool cancel_requested[THREADS];
bool abandoned[THREADS];
bool continuation[THREADS];
bool due[THREADS];
bool has_limit[THREADS];                  // Two entries.

// ---- the model's
bool asleep[THREADS];                     // In changed_, not notified yet.
bool freed[THREADS];
bool was_submitted[THREADS];              // So that others may know its id.
byte resumed[THREADS];
byte inside;                              // Threads in the kernel that may wait there.
byte ended;

// ----------------------------------------------------------------------------------- the kernel

inline post(what, r)
{
    if
    :: len(cq) < CQ_SIZE && len(overflow) == 0 -> cq!what,r
    :: else -> overflow!what,r
    fi
}

// The submitting part of io_uring_enter(2), which runs under the kernel's own lock.
inline sys_submit(count)
{
    taken = 0;
    busy = false;
    do
    :: len(overflow) > 0 && len(cq) < CQ_SIZE -> overflow?k,u; cq!k,u
    :: else -> break
    od;
    if
    :: count > 0 && len(overflow) > 0 -> busy = true
    :: else ->
        do
        :: taken < count && len(sq) > 0 ->
            sq?k,u;
            taken++;
            if
            :: k == start ->
                assert(!freed[u] && !with_kernel[u]);
                with_kernel[u] = true;
                has_reached[u] = true;
                if
                :: has_limit[u] ->
                    assert(taken < count && len(sq) > 0); // A chain is submitted as one.
                    sq?k,u;
                    assert(k == limit);
                    taken++
                :: else
                fi
            :: k == limit -> assert(false)

            :: k == cancel_entry && with_kernel[u] ->
                if
                :: with_kernel[u] = false; has_happened[u] = true; post(done, u); post(answered, u)
                :: surprises > 0 -> surprises--; post(missed, u)
                fi
            :: k == cancel_entry && !with_kernel[u] -> post(missed, u)
            :: k == no_op -> post(answered, 0)
            fi
        :: else -> break
        od
    fi;
    k = 0;
    u = 0
}

#define CAN_COMPLETE(r) (with_kernel[r] && (r != 0 || needs == nothing || (needs == the_other && has_happened[1])))

active proctype kernel()
{
    byte r;
end:
    do
    :: atomic {
            if
            :: CAN_COMPLETE(0) -> r = 0
            :: CAN_COMPLETE(1) -> r = 1
#if THREADS > 2
            :: CAN_COMPLETE(2) -> r = 2
#endif
            fi;
            with_kernel[r] = false;
            if
            :: has_happened[r] = true; post(done, r)
            :: surprises > 0 -> surprises--; post(again, r)
            fi;
            r = 0
        }
    od
}

// ------------------------------------------------------------------------------------ ring_core

inline acquire() { atomic { !lock -> lock = true } }
inline release() { lock = false }

inline notify_all()
{
    for (u : 0 .. THREADS - 1) {
        asleep[u] = false
    }
    u = 0
}

inline make_due(r)
{
    if
    :: continuation[r] && !due[r] -> due[r] = true
    :: else
    fi
}

inline finish(r)
{
    assert(!freed[r]);
    state[r] = idle;
    known[r] = false;
    has_happened[r] = true;
    if
    :: abandoned[r] -> freed[r] = true
    :: else -> make_due(r); over[r] = true
    fi
}

inline complete(what, r)
{
    if
    :: what == missed && known[r] -> cancel_missed_ = true
    :: what == again && !cancel_requested[r] ->
        assert(known[r] && state[r] == in_kernel);
        state[r] = queued;
        queued_!r
    :: what == done || (what == again && cancel_requested[r]) ->
        assert(known[r] && state[r] == in_kernel);
        finish(r)
    :: else
    fi
}

inline reap()
{
    do
    :: len(cq) > 0 -> cq?k,u; complete(k, u)
    :: else -> break
    od;
    k = 0;
    u = 0
}

inline fill_submissions()
{
    do
    :: len(queued_) > 0 ->
        queued_?<u>;
        if
        :: SQ_SIZE - len(sq) >= 1 + has_limit[u] &&
                (!has_limit[u] || claim_ == none || MUTANT(SPLIT_CHAINS)) ->
            queued_?u;
            state[u] = in_kernel;
            sq!start,u;
            if
            :: has_limit[u] -> sq!limit,u
            :: else
            fi
        :: else -> break
        fi
    :: else -> break
    od;
    u = 0
}

// flush, enter, wait_once and send_cancellations are called from several places, and so are parts of
// `thread` with a return address each: inlined, they would be a program too large to compile in time.
#define CALL(what, place) back_from_##what = place; goto what; after_##what##_##place:
#define RETURN_TO(what, place) back_from_##what == place -> goto after_##what##_##place

inline ask_for_cancellation(r)
{
    if
    :: len(sq) < SQ_SIZE -> sq!cancel_entry,r
    :: else -> cancel_missed_ = true
    fi
}

// The part of cancel(request&) before send_cancellations().
inline cancel_request(r)
{
    if
    :: known[r] && !cancel_requested[r] ->
        cancel_requested[r] = true;
        if
        :: state[r] == in_kernel -> ask_for_cancellation(r)
        :: else -> queued_??eval(r); finish(r)
        fi
    :: else
    fi
}

// By who will not go into the kernel again: whoever came back from there has told all sleepers.
inline hand_over()
{
    for (u : 0 .. THREADS - 1) {
        assert(in_kernel_ || !asleep[u])
    }
    u = 0
}

inline find_due(found)
{
    found = NONE;
    for (u : 0 .. THREADS - 1) {
        if
        :: due[u] -> found = u
        :: else
        fi
    }
    u = 0
}

proctype thread(byte me; byte how; bool flushes_before; bool cancels; bool cancels_first)
{
    byte back_from_flush, back_from_wake, back_from_send_cancellations, back_from_cancel_first;
    byte u, v, count, taken;
    mtype k;
    bool busy, blocks, waits, is_limited, called_back;
    bool limited;          // The deadline of the call is not `never`, ...
    bool time_left = true; // ... and lies ahead.

    if
    :: flushes_before -> acquire(); CALL(flush, 1) release(); flushes_before = false
    :: else
    fi;

    // ---- submit()
    atomic {
        !lock -> lock = true;
        known[me] = true;
        state[me] = queued;
        queued_!me
    };
    if
    :: in_kernel_ && !MUTANT(NO_FLUSH_ON_SUBMIT) -> CALL(flush, 2) skip
    :: else
    fi;
    atomic { release(); was_submitted[me] = true };
    if
    :: cancels && cancels_first -> CALL(cancel_first, 1) skip
    :: else
    fi;

    atomic {
        !lock -> lock = true;
        limited = how == waits_limited;
        time_left = how != polls_
    };
    if
    :: how == waits_ || how == waits_limited || how == polls_
    :: how == flushes_ -> // What is flushed reaches the kernel, whatever the others do.
        CALL(flush, 3)
        release();
        atomic { (has_reached[me] || !known[me]) && !lock -> lock = true; how = waits_ }
    :: how == leaves_it -> // Somebody else is in the kernel, or will go there.
        release();
        atomic { over[0] && !lock -> lock = true; how = waits_ }
    :: how == runs_ || how == is_called -> // continue_with()
        atomic {
            continuation[me] = true;
            continuations_++;
            if
            :: known[me] -> goto has_continuation
            :: else -> make_due(me)
            fi
        };
        CALL(wake, 1)
has_continuation:
        if
        :: how == runs_
        :: else -> // By the other thread, which runs the ring.
            release();
            resumed[me] == 1;
            goto end_of_request
        fi
    :: how == abandons_ ->
        if
        :: !known[me] -> freed[me] = true
        :: else ->
            atomic { abandoned[me] = true; cancel_request(me) };
            CALL(send_cancellations, 1) skip
        fi;
        release();
        goto end_of_request
    fi;

    // ---- wait(), drive(), poll()
loop:
    if
    :: how == runs_ || (how == polls_ && time_left == false && waits) ->
resume_all:
        atomic {
            find_due(v);
            if
            :: v == NONE -> v = 0; goto nothing_due
            :: else -> // The handler destroys the request.
                due[v] = false;
                continuation[v] = false;
                continuations_--;
                release()
            fi
        };
        atomic {
            resumed[v]++;
            assert(resumed[v] == 1 && over[v] && !freed[v]);
            freed[v] = true;
            v = 0
        };
        acquire();
        goto resume_all;
nothing_due:
        if
        :: how == runs_ && continuations_ == 0 -> goto leave
        :: how == runs_ && continuations_ != 0
        :: how == polls_ -> goto leave
        fi
    :: how == waits_ && !known[me] -> goto leave
    :: how == waits_limited && (!known[me] || !time_left) -> goto leave
    :: else
    fi;

    // ---- wait_once()
    if
    :: limited && time_left -> time_left = false
    :: true
    fi;
    waits = time_left;
    is_limited = limited;
    if
    :: !in_kernel_ -> goto enter
    :: else
    fi;
    CALL(flush, 4)
    if
    :: !waits && len(cq) > 0 && MUTANT(REAP_UNDER_WAITER) -> atomic { reap() }
    :: waits || (len(cq) > 0 && !MUTANT(REAP_UNDER_WAITER)) -> // sleep()
        atomic {
            sleepers_++;
            asleep[me] = true;
            is_limited = limited && waits;
            release()
        };
        atomic {
            if
            :: !asleep[me] && !lock
            :: is_limited && !lock
            fi;
            lock = true;
            asleep[me] = false;
            sleepers_--
        }
    :: else
    fi;
back_from_wait_once:
    atomic {
        is_limited = false;
        waits = how == polls_; // It has looked once.
        goto loop
    };

leave:
    atomic {
        hand_over();
        release();
        waits = false;
        limited = false;
        time_left = true;
        if
        :: over[me] -> goto end_of_request
        :: else -> how = waits_
        fi
    };
    acquire();
    goto loop;

end_of_request:
    if
    :: cancels -> CALL(cancel_first, 2) skip
    :: else
    fi;
    goto end_of_thread;

    // ---- enter(): one system call that flushes, and waits if `waits`, not for ever if `is_limited`.
enter:
    atomic {
        if
        :: cancel_missed_ ->
            cancel_missed_ = false;
            for (v : 0 .. THREADS - 1) {
                if
                :: known[v] && state[v] == in_kernel && cancel_requested[v] ->
                    ask_for_cancellation(v)
                :: else
                fi
            }
            v = 0
        :: else
        fi;
        flush_missed_ = false;
        fill_submissions()
    };
    if
    :: len(queued_) > 0 -> CALL(flush, 5) skip
    :: else
    fi;
    atomic {
        count = len(sq);
        blocks = waits && len(cq) == 0;
        if
        :: !blocks && count == 0 && len(overflow) == 0 -> reap(); goto back_from_wait_once
        :: else ->
            is_limited = is_limited || cancel_missed_ || flush_missed_;
            in_kernel_ = true;
            claim_ = (count != 0 -> fresh : none);
            inside++;
            assert(inside == 1);
            release()
        fi
    };
    // Here others may submit, also what this thread has come to submit.
    atomic {
        sys_submit(count);
        blocks = blocks && taken == count && !busy;
        count = 0;
        taken = 0;
        busy = false
    };
    if
    :: !blocks || len(cq) > 0
    :: is_limited
    fi;
    atomic {
        !lock -> lock = true;
        inside--;
        in_kernel_ = false;
        claim_ = none;
        blocks = false;
        reap()
    };
    if
    :: flush_missed_ && !MUTANT(NO_SECOND_FLUSH) -> flush_missed_ = false; CALL(flush, 6) skip
    :: else
    fi;
    atomic {
        if
        :: sleepers_ != 0 && !MUTANT(NO_NOTIFY) -> notify_all()
        :: else
        fi;
        goto back_from_wait_once
    };

    // ---- cancel(), by the second thread, of the first one's request
cancel_first:
    was_submitted[0];
    acquire();
    if
    :: known[0] -> atomic { cancel_request(0) }; CALL(send_cancellations, 2) skip
    :: else
    fi;
    atomic {
        release();
        cancels = false;
        if
        :: RETURN_TO(cancel_first, 1)
        :: RETURN_TO(cancel_first, 2)
        fi
    };

send_cancellations:
    CALL(flush, 7)
    atomic {
        if
        :: !in_kernel_ -> reap()
        :: else
        fi
    };
    CALL(wake, 2)
    if
    :: RETURN_TO(send_cancellations, 1)
    :: RETURN_TO(send_cancellations, 2)
    fi;

wake:
    atomic {
        if
        :: sleepers_ != 0 -> notify_all()
        :: else
        fi
    };
    if
    :: in_kernel_ && !MUTANT(NO_WAKE) ->
        if
        :: len(sq) == SQ_SIZE -> CALL(flush, 8) skip
        :: else
        fi;
        if
        :: atomic { len(sq) < SQ_SIZE -> sq!no_op,0 }; CALL(flush, 9) skip
        :: else
        fi
    :: else
    fi;
    if
    :: RETURN_TO(wake, 1)
    :: RETURN_TO(wake, 2)
    fi;

flush:
    atomic {
        if
        :: claim_ == fresh && len(sq) == 0 -> claim_ = none
        :: else
        fi
    };
flush_more:
    atomic {
        fill_submissions();
        if
        :: len(sq) > 0
        :: len(sq) == 0 && len(queued_) > 0 && !called_back ->
            sq!no_op,0;
            flush_missed_ = true;
            called_back = true
        :: len(sq) == 0 && (len(queued_) == 0 || called_back) -> goto end_of_flush
        fi;
        count = len(sq)
    };
    // Here the thread in the kernel may take some of them.
    atomic {
        claim_ = (claim_ == fresh -> stale : claim_);
        sys_submit(count);
        count = 0;
        if
        :: taken == 0 && !in_kernel_ -> reap()
        :: taken == 0 && in_kernel_ && busy -> flush_missed_ = true; goto end_of_flush
        :: else
        fi;
        taken = 0;
        busy = false;
        goto flush_more
    };
end_of_flush:
    atomic {
        called_back = false;
        count = 0;
        taken = 0;
        busy = false;
        if
        :: RETURN_TO(flush, 1)
        :: RETURN_TO(flush, 2)
        :: RETURN_TO(flush, 3)
        :: RETURN_TO(flush, 4)
        :: RETURN_TO(flush, 5)
        :: RETURN_TO(flush, 6)
        :: RETURN_TO(flush, 7)
        :: RETURN_TO(flush, 8)
        :: RETURN_TO(flush, 9)
        fi
    };

end_of_thread:
    atomic {
        assert(how == abandons_ || over[me]);
        ended++
    }
}

init
{
    byte first = waits_, second = waits_;
    bool cancels, cancels_first, flushes_before;
    atomic {
        // Of what threads may do, a mutant gets what shows it soon.
        if
        :: MUTANT(SPLIT_CHAINS) || MUTANT(NO_NOTIFY)
        :: MUTANT(NO_FLUSH_ON_SUBMIT) -> second = leaves_it; needs = the_other
        :: MUTANT(NO_SECOND_FLUSH) -> second = flushes_
        :: MUTANT(REAP_UNDER_WAITER) -> second = polls_
        :: MUTANT(NO_WAKE) -> first = runs_; second = is_called; needs = cancellation
        :: else ->
            if
            :: needs = nothing
            :: needs = the_other
#if THREADS == 2
            :: needs = cancellation
#endif
            fi;
            if
            :: first = waits_
            :: first = runs_
#if THREADS == 2
            :: first = waits_limited
#endif
            fi;
            if
            :: second = waits_
            :: second = polls_
#if THREADS == 2
            :: second = runs_
            :: second = flushes_
            :: second = leaves_it
            :: first == runs_ && needs == cancellation -> second = is_called
            :: second = abandons_
#endif
            fi
        fi;
        if
        :: needs == cancellation || (first == waits_ && second == waits_ && THREADS == 2) -> cancels = true
        :: needs != cancellation
        fi;
        if
        :: cancels && second != is_called -> cancels_first = true
        // What it waits for must not need its own cancellation.
        :: needs != cancellation || (second != leaves_it && (first != runs_ || second != runs_))
        fi;
        if
#if THREADS == 2
        :: has_limit[1] = true; flushes_before = true
#endif
        :: true
        fi;
        run thread(0, first, false, false, false);
        run thread(1, second, flushes_before, cancels, cancels_first);
#if THREADS > 2
        run thread(2, waits_, false, false, false);
#endif
    };
    // Nobody is left in the kernel or asleep.
    ended == THREADS;
    assert(!in_kernel_ && sleepers_ == 0 && continuations_ == 0 && !lock)
}
