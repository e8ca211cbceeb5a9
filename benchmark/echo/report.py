# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
"""Prints what the comparison of the echo servers found."""

import statistics

from paired import interval_text, median_interval, median_ratio, paired_ratio, verdict

OURS = "safer_ring"
ASIO = "asio_epoll"
HAND_WRITTEN = ("liburing_multishot", "liburing_oneshot")
OFFICIAL_ROUNDS = 15

# "Never worse" leaves room for what fifteen rounds cannot tell apart.
NEVER_WORSE = 1.03
NEAR_HAND_WRITTEN = 1.05
BETTER_THAN_ASIO = 0.94


def _size_text(size):
    if size >= 1 << 20 and size % (1 << 20) == 0:
        return f"{size >> 20} MiB"
    if size >= 1 << 10 and size % (1 << 10) == 0:
        return f"{size >> 10} KiB"
    return f"{size} B"


def _cell_text(cell):
    connections, size = cell
    return f"{connections} connection{'s' if connections != 1 else ''}, {_size_text(size)}"


def _complete(programs):
    """The processor time by round of each server, for the rounds in which all servers succeeded."""
    names = [name for name, runs in programs.items() if any(runs)]
    rounds = [i for i in range(len(next(iter(programs.values())))) if all(programs[name][i] for name in names)]
    if not rounds:
        return {}
    return {name: [programs[name][i]["server_cpu_us_per_request"] for i in rounds] for name in names}


def _better_hand_written(costs):
    """The hand-written server with the lower median. Choosing by round would favour whichever was lucky."""
    present = [name for name in HAND_WRITTEN if name in costs]
    return min(present, key=lambda name: statistics.median(costs[name]), default=None)


def print_machine(surroundings, facts, options):
    print("\nMachine")
    for name, value in surroundings.items():
        print(f"  {name}: {value}")
    print(f"  server on processor {options.server_cpu}, load on processor {options.load_cpu}")
    print("\nServers")
    for program, details in facts.items():
        build = "" if details["optimised"] else ", NOT OPTIMISED"
        boost = f", Boost {details['boost']}" if "boost" in details else ""
        print(f"  {program}: {details['compiler']}{boost}{build}")
        for line in details.get("ring", "").splitlines():
            print(f"    {line}")


def print_cells(results):
    for cell, programs in results.items():
        costs = _complete(programs)
        if not costs:
            print(f"\n{_cell_text(cell)}: no round in which every server succeeded")
            continue
        better = _better_hand_written(costs)
        count = len(next(iter(costs.values())))
        print(f"\n{_cell_text(cell)}  ({count} rounds; median or ratio [95 % interval])")
        print(
            f"  {'server':<19}{'CPU µs/request':<30}{'/ ' + ASIO:<24}{'/ ' + (better or 'hand-written'):<24}"
            f"{'requests/s':>11}{'p50 µs':>10}{'p99 µs':>10}{'busy':>6}"
        )
        for name, values in costs.items():
            columns = [
                interval_text(paired_ratio(values, costs[other])) if other in costs and other != name else ""
                for other in (ASIO, better)
            ]
            runs = [run for run in programs[name] if run]
            middle = {key: statistics.median(run[key] for run in runs) for key in ("p50_us", "p99_us", "server_busy")}
            rate = statistics.median(run["requests"] / run["seconds"] for run in runs)
            print(
                f"  {name:<19}{interval_text(median_interval(values), 2):<30}{columns[0]:<24}{columns[1]:<24}"
                f"{rate:>11.0f}{middle['p50_us']:>10.0f}{middle['p99_us']:>10.0f}{middle['server_busy']:>6.0%}"
            )


def _requirements(cell, costs):
    """What has to hold in a cell: text, reference, bound."""
    connections, size = cell
    if ASIO in costs:
        yield "never worse than " + ASIO, ASIO, NEVER_WORSE
    better = _better_hand_written(costs)
    if better and connections in (64, 1000) and size <= 512:
        yield "within 5 % of " + better, better, NEAR_HAND_WRITTEN
    if ASIO in costs and connections == 1000 and size <= 512:
        yield "6 % less than " + ASIO, ASIO, BETTER_THAN_ASIO


def _measured(results):
    return any(OURS in _complete(programs) for programs in results.values())


def print_verdicts(results, rounds):
    print("\nWhat has to hold for safer_ring, in processor time per request")
    if not _measured(results):
        print("  it was not measured")
        return
    print("  (holds: the whole interval is at or below the bound; fails: all of it is above; open: more rounds needed)")
    if rounds < OFFICIAL_ROUNDS:
        print(f"  ({rounds} rounds: a figure to be quoted needs {OFFICIAL_ROUNDS})")
    counts = {"holds": 0, "open": 0, "fails": 0}
    for cell, programs in results.items():
        costs = _complete(programs)
        if OURS not in costs:
            continue
        for text, reference, bound in _requirements(cell, costs):
            interval = paired_ratio(costs[OURS], costs[reference])
            result = verdict(interval, bound)
            counts[result] += 1
            print(f"  {_cell_text(cell):<26}{text:<36}{interval_text(interval):<24}≤ {bound:.2f}  {result}")
    print("  " + ", ".join(f"{name}: {count}" for name, count in counts.items()))


def print_losses(results):
    if not _measured(results):
        return
    print("\nWhere we lose (median ratio above 1)")
    lost = False
    for cell, programs in results.items():
        costs = _complete(programs)
        for name in costs:
            if name == OURS or OURS not in costs:
                continue
            ratio = median_ratio(costs[OURS], costs[name])
            if ratio > 1:
                lost = True
                print(f"  {_cell_text(cell):<26}{(ratio - 1) * 100:5.1f} % more than {name}")
    if not lost:
        print("  nowhere in what was measured")
