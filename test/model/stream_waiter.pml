// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// Who waits for the next item of a stream, and who gives the stream up: set_waiter(), claim() and
// give_up() of include/safer_ring/ring/stream_request.hpp, the callback of include/safer_ring/ring/stream.hpp,
// and continue_with(), resume_one(), abandon() and finish() of src/ring/ring_core.cpp and
// ring_core_waiting.cpp. Whoever finds the stream over, and nobody waiting, destroys it without the lock.
//
// One thread takes completions in, one resumes, and one has the stream: it waits for items by callbacks,
// and gives the stream up at any time, behind a callback or before; or a callback does so.
//
// No access to a stream or a callback that is gone, no two accesses of which neither happens before the
// other, and each is destroyed once. What happens before what is a number: that of the last access to the
// stream that a thread, the lock, `over_` or `waiter_` knows of.
//
// run 3 threads:
// run 3 threads, every run ends: CYCLES
//
// mutant RELAXED_WAITER:
// mutant RELAXED_OVER:
// mutant WAITER_BEFORE_ITEM:
// mutant GIVE_UP_WITHOUT_WAITER:
// mutant GIVE_UP_KEEPS_CALLBACK:
// mutant CLAIM_UNLOCKED:
// mutant OVER_BEFORE_DUE:

#include "mutants.h" // Written by the script `run`.

#define ITEMS 2
#define CALLBACKS 2
#define NONE 255

// The stream.
bool known = true;          // The engine has it.
bool over_;
bool abandoned_;
bool due_;
byte continuation_ = NONE;  // Which callback.
byte waiter_ = NONE;
byte items;
bool end_;
byte freed;

// The callbacks.
bool made[CALLBACKS];
bool dropped[CALLBACKS];
byte called;                // How many.

bool lock;
byte to_come = ITEMS;
bool gives_up_in_callback;
bool is_given_up;

// Numbers of accesses.
byte last, known_to_lock, known_to_over, known_to_waiter, known_to_called;

#define MAX(a, b) ((a) > (b) -> (a) : (b))

inline acquire() { atomic { !lock -> lock = true; seen = MAX(seen, known_to_lock) } }
inline release() { atomic { known_to_lock = MAX(seen, known_to_lock); lock = false } }

inline access() { atomic { assert(freed == 0 && seen == last); last++; seen = last } }
inline destroy() { atomic { assert(freed == 0 && seen == last); freed++ } }
inline free_callback(which) { atomic { assert(made[which] && !dropped[which]); dropped[which] = true } }

inline set_no_waiter()
{
    atomic {
        assert(freed == 0);
        waiter_ = NONE;
        if
        :: !MUTANT(RELAXED_WAITER) -> known_to_waiter = seen
        :: else
        fi
    }
}

inline make_due()
{
    access();
    if
    :: continuation_ != NONE -> due_ = true
    :: else
    fi
}

inline set_over()
{
    atomic {
        assert(freed == 0);
        over_ = true;
        if
        :: !MUTANT(RELAXED_OVER) -> known_to_over = seen
        :: else
        fi
    }
}

inline finish()
{
    access();
    end_ = true;
    known = false;
    if
    :: abandoned_ -> destroy()
    :: !abandoned_ && MUTANT(OVER_BEFORE_DUE) -> set_over(); make_due()
    :: else -> make_due(); set_over()
    fi
}

// is_over() and the load of waiter_, which the caller needs both.
inline is_over_and_alone(answer)
{
    atomic {
        assert(freed == 0);
        answer = over_;
        if
        :: over_ -> seen = MAX(seen, known_to_over)
        :: else
        fi
    };
    if
    :: answer ->
        atomic {
            answer = waiter_ == NONE || MUTANT(GIVE_UP_WITHOUT_WAITER);
            if
            :: waiter_ == NONE -> seen = MAX(seen, known_to_waiter)
            :: else
            fi
        }
    :: else
    fi
}

inline give_up()
{
    is_over_and_alone(answer);
    if
    :: answer -> destroy()
    :: else ->
        acquire();
        access();
        if
        :: !MUTANT(GIVE_UP_KEEPS_CALLBACK) -> with = continuation_; continuation_ = NONE; due_ = false
        :: else -> with = continuation_
        fi;
        if
        :: !known -> release(); destroy()
        :: known -> abandoned_ = true; finish(); release() // As if cancelled where it was queued.
        fi;
        if
        :: with != NONE -> free_callback(with)
        :: else
        fi;
        with = NONE
    fi;
    is_given_up = true
}

proctype takes_in()
{
    byte seen;
    do
    :: atomic { known && !lock -> lock = true; seen = MAX(seen, known_to_lock) };
        if
        :: known && to_come != 0 -> access(); atomic { to_come--; items++ }; make_due()
        :: known && to_come == 0 -> finish()
        :: !known
        fi;
        release()
    :: !known -> break
    od
}

proctype resumes()
{
    byte seen;
    byte with = NONE;
    bool answer;
    do
    :: atomic { due_ && !lock -> lock = true; seen = MAX(seen, known_to_lock) };
        if
        :: !due_ -> release()
        :: due_ ->
            access(); // take_due()
            due_ = false;
            with = continuation_;
            continuation_ = NONE;
            if
            :: MUTANT(CLAIM_UNLOCKED) -> release()
            :: else
            fi;
            if
            :: MUTANT(WAITER_BEFORE_ITEM) -> set_no_waiter()
            :: else
            fi;
            access(); // take_into()
            if
            :: items != 0 -> items--
            :: items == 0 -> assert(end_)
            fi;
            if
            :: !MUTANT(WAITER_BEFORE_ITEM) -> set_no_waiter()
            :: else
            fi;
            if
            :: !MUTANT(CLAIM_UNLOCKED) -> release()
            :: else
            fi;
            // The handler, which may tell who has the stream.
            if
            :: gives_up_in_callback && !is_given_up -> free_callback(with); with = NONE; give_up()
            :: else -> free_callback(with); with = NONE
            fi;
            atomic { known_to_called = seen; called++ }
        fi
    :: is_given_up && !due_ -> break
    od
}

proctype has_the_stream()
{
    byte seen;
    byte next = 0;
    byte with = NONE;
    bool answer;
    do
    :: next < CALLBACKS && called == next && !is_given_up -> // then()
        atomic { seen = MAX(seen, known_to_called); made[next] = true };
        atomic { assert(freed == 0); waiter_ = next; known_to_waiter = seen };
        acquire();
        access();
        continuation_ = next;
        next++;
        if
        :: items != 0 || !known -> make_due()
        :: else
        fi;
        release();
        if
        :: gives_up_in_callback -> break
        :: else
        fi
    :: !gives_up_in_callback -> give_up(); break
    od
}

init
{
    atomic {
        if
        :: gives_up_in_callback = true
        :: gives_up_in_callback = false
        fi;
        run takes_in();
        run resumes();
        run has_the_stream()
    };
    _nr_pr == 1;
    assert(freed == 1 && !known);
    assert(made[0] == dropped[0] && made[1] == dropped[1])
}
