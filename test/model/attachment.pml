// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// A ring on the threads of somebody else's loop: wake(), wait_for(), rest() and waited() of
// include/safer_ring/asio/detail/attachment.hpp, whose `wake_pending_` is cleared without the ring's
// lock; drive(), post(), work_started() and work_finished() of include/safer_ring/ring/event_loop.hpp,
// whose `outstanding_work_` is counted without it; and wake_waiter(), do_run_one(), finish_drive(),
// look_again() and driven_work_finished() of src/ring/event_loop.cpp and driver.cpp.
//
// What is posted or started is done; the host's run() returns when there is nothing left to do, and
// not before. Who ends the last work does not touch the loop any more once run() has returned everywhere,
// for it may be destroyed then. Two threads are in run(); a third one posts a handler, which starts an operation, and
// counts work of its own, as a work guard does. The timer is like the wait for completions, and is
// left out. Every lock-held part in which nothing outside of the lock is touched is one step.
//
// run 2 threads of the host and another:
// run 2 threads of the host and another, every run ends: CYCLES
//
// mutant CLEARED_BEHIND_THE_TURN:
// mutant NO_TURN_WHEN_CANCELLED:
// mutant WORK_NOT_TOLD:
// mutant END_OF_WORK_NOT_TOLD:
// mutant LAST_WORK_TAKEN_OFF_WITHOUT_THE_LOCK:
// mutant NO_WAKE_FOR_MORE:
// mutant NO_LOOK_BEHIND_THE_TURN:
// mutant SPINS_BESIDE_THE_TURN: CYCLES

#include "mutants.h" // Written by the script `run`.

mtype = { turn, waited };

// ---- the host's: handlers in its queue, and what keeps run() from returning.
chan host = [4] of { mtype };
byte host_work = 1;           // Of the third thread, until it has begun everything.
bool armed;                   // The reactor waits for the ring's descriptor.

// ---- attachment's
bool wake_pending_;
bool pending;                 // The wait's handler is under way.

// ---- event_loop's
bool lock;
bool wake_sent_;
byte outstanding_work_;
byte before, behind;          // Handlers in `ready_`, before and behind the turn marker.
bool marker_is_out_;          // A thread has the turn; what is in `ready_` will be before the marker.
byte pending_;                // Started and not submitted.
byte batch_, put_off_;

// ---- the kernel's
byte with_kernel, completions;

byte handlers_run, operations_done, ended, hosts_gone;

inline acquire() { atomic { !lock -> lock = true } }
inline release() { lock = false }

inline host_add(what) { host!what; host_work++ }

// driver::wake(), of event_loop::wake_waiter().
inline wake_waiter()
{
    atomic {
        if
        :: !wake_sent_ ->
            wake_sent_ = true;
            if
            :: !wake_pending_ -> wake_pending_ = true; host_add(turn)
            :: else
            fi
        :: else
        fi
    }
}

// driven_work_finished(): all but the last is taken off without the lock.
inline work_finished()
{
    atomic {
        if
        :: outstanding_work_ > 1 || MUTANT(LAST_WORK_TAKEN_OFF_WITHOUT_THE_LOCK) ->
            outstanding_work_--;
            takes_lock = outstanding_work_ == 0
        :: else -> takes_lock = true
        fi
    };
    if
    :: takes_lock ->
        atomic { !lock -> assert(hosts_gone < 2); lock = true };
        atomic {
            if
            :: !MUTANT(LAST_WORK_TAKEN_OFF_WITHOUT_THE_LOCK) -> outstanding_work_--
            :: else
            fi;
            if
            :: outstanding_work_ == 0 && !MUTANT(END_OF_WORK_NOT_TOLD) -> wake_waiter()
            :: else
            fi;
            release()
        }
    :: else
    fi;
    takes_lock = false
}

// The kernel makes the descriptor readable, for whoever waits, now or later.
inline notice()
{
    if
    :: armed && completions > 0 -> armed = false; host!waited
    :: else
    fi
}

active proctype kernel()
{
end:
    do
    :: atomic { with_kernel > 0 -> with_kernel--; completions++; notice() }
    od
}

proctype host_thread()
{
    mtype what;
    bool takes_lock;
    bool is_io;
next:
    if
    :: atomic { host?what };
        if
        :: what == turn ->
            if
            :: !MUTANT(CLEARED_BEHIND_THE_TURN) -> wake_pending_ = false
            :: else
            fi
        :: what == waited ->
            atomic { !lock -> lock = true; pending = false };
            release();
            if
            :: MUTANT(NO_TURN_WHEN_CANCELLED) && completions == 0 -> goto handler_done
            :: else
            fi
        fi;
        goto drive
    :: atomic { host_work == 0 && len(host) == 0 -> goto leave }
    fi;

drive:
    atomic {
        !lock -> lock = true;
        wake_sent_ = false;
        if
        :: put_off_ == 0 && batch_ == 0 -> batch_ = completions // look_again()
        :: else
        fi
    };
run_one:
    atomic {
        if
        :: before > 0 -> before--; is_io = false
        :: before == 0 && marker_is_out_ -> goto finish_drive
        :: before == 0 && !marker_is_out_ && put_off_ > 0 ->
            put_off_--;
            if
            :: put_off_ == 0 -> goto finish_drive
            :: else -> before = behind; behind = 0; goto run_one
            fi
        :: before == 0 && !marker_is_out_ && put_off_ == 0 && batch_ > 0 ->
            batch_--; completions--; is_io = true
        :: before == 0 && !marker_is_out_ && put_off_ == 0 && batch_ == 0 -> // turn()
            marker_is_out_ = true;
            before = behind;
            behind = 0;
            with_kernel = with_kernel + pending_;
            pending_ = 0;
            release(); // While it is in the kernel.
            goto end_of_turn
        fi;
        if
        :: before > 0 || behind > 0 -> wake_waiter() // wake_for_more()
        :: else
        fi;
        release()
    };
    // The handler.
    if
    :: is_io -> operations_done++
    :: else ->
        atomic { handlers_run++; outstanding_work_++ };
        atomic { !lock -> lock = true; pending_++ };
        atomic { wake_waiter(); release() }
    fi;
    is_io = false;
    work_finished();
    acquire();
    if
    :: goto run_one
    :: goto finish_drive // It was the last of this turn, or has thrown.
    fi;

end_of_turn: // What the kernel has completed within the call is seen, or is not.
    atomic {
        !lock -> lock = true;
        marker_is_out_ = false;
        batch_ = completions;
        put_off_ = (wake_sent_ -> 2 : 0);
        if
        :: MUTANT(NO_LOOK_BEHIND_THE_TURN) -> release(); goto handler_done
        :: else
        fi
    };

finish_drive:
    atomic {
        if
        :: marker_is_out_ && !MUTANT(SPINS_BESIDE_THE_TURN) ->
            if
            :: before > 0 -> wake_waiter()
            :: else
            fi
        :: (!marker_is_out_ || MUTANT(SPINS_BESIDE_THE_TURN)) &&
           (before > 0 || behind > 0 || batch_ > 0 || pending_ > 0 || completions > 0) ->
            if
            :: !MUTANT(NO_WAKE_FOR_MORE) -> wake_waiter()
            :: else
            fi
        :: else ->
            if
            :: outstanding_work_ == 0 -> // rest()
                if
                :: armed -> armed = false; host!waited
                :: else
                fi
            :: else -> // wait_for()
                if
                :: !pending -> pending = true; armed = true; host_work++; notice()
                :: else
                fi
            fi
        fi;
        release()
    };
handler_done:
    if
    :: what == turn && MUTANT(CLEARED_BEHIND_THE_TURN) -> wake_pending_ = false
    :: else
    fi;
    atomic { host_work--; what = 0; goto next };

leave:
    atomic {
        assert(outstanding_work_ == 0 && before + behind + batch_ + pending_ == 0);
        assert(with_kernel + completions == 0 && !armed && !pending);
        hosts_gone++;
        ended++
    }
}

proctype third_thread()
{
    bool takes_lock;
    bool was_first;
    // post()
    outstanding_work_++;
    atomic {
        !lock -> lock = true;
        if
        :: marker_is_out_ -> before++
        :: else -> behind++
        fi
    };
    atomic { wake_waiter(); release() };
    // work_started()
    atomic { was_first = outstanding_work_ == 0; outstanding_work_++ };
    if
    :: was_first && !MUTANT(WORK_NOT_TOLD) -> acquire(); wake_waiter(); release()
    :: else
    fi;
    host_work--; // From here on only the ring keeps the host running.
    work_finished();
    ended++
}

init
{
    atomic {
        run host_thread();
        run host_thread();
        run third_thread()
    };
    ended == 3;
    assert(handlers_run == 1 && operations_done == 1)
}
