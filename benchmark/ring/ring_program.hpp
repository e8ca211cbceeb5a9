// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "ring/copy_work.hpp"
#include "ring/echo_load.hpp"
#include "ring/nop_work.hpp"
#include "ring/ring_task.hpp"

#include <cstdint>
#include <stdexcept>

namespace benchmark {

/// The main function of both programs. `Nop(task)` and `Copy(task)` have `run(work, units)`, and
/// `Echo(task)` has `run(work)`, which ends when the clients have closed; all have `facts()`.
template <class Nop, class Copy, class Echo>
int run_ring_task(int argc, char** argv, const char* program)
{
    const arguments given(argc, argv,
                          {"--task", "--units", "--warm-up", "--depth", "--size", "--seed", "--cpu",
                           "--load-cpu", "--poll-first"});
    const ring_task task = read_ring_task(given);
    const int cpu = given.has("--cpu") ? static_cast<int>(given.number("--cpu", 0)) : -1;
    if (task.name == "echo") {
        echo_work work(task);
        pin_to_cpu(cpu);
        Echo server(task);
        print_ready(program, 0, server.facts());
        server.run(work);
        work.watch().print_result(work.units(), work.checksum());
        return 0;
    }
    pin_to_cpu(cpu);
    stopwatch watch;
    if (task.name == "nop") {
        Nop nops(task);
        nop_work warm_up(task.seed);
        nops.run(warm_up, task.warm_up);
        nop_work work(task.seed);
        print_ready(program, 0, nops.facts());
        watch.start();
        nops.run(work, task.units);
        watch.stop();
        watch.print_result(task.units, work.sum());
    } else if (task.name == "copy") {
        if (cpu >= 0)
            pin_workers(cpu);
        copy_work work(task);
        Copy copy(task);
        work.run(copy, task.warm_up);
        work.begin();
        print_ready(program, 0, copy.facts());
        watch.start();
        work.run(copy, task.units);
        watch.stop();
        watch.print_result(task.units, work.checksum());
    } else {
        throw std::invalid_argument("option '--task': " + task.name + " is not nop, copy or echo");
    }
    return 0;
}

} // namespace benchmark
