"""Measurements of several gateways that share a Redis, with the limits that each result must keep.

A work takes the amount of load, and returns its results and verdicts.
"""

import contextlib
import random
import statistics
import time
from typing import NamedTuple

from callers import Asked, address_of, in_turn, on_time, percentiles
from fleets import Connection, caller, counting_upstream, fleet, metrics, of_all, redis, spent_by
from generate import wrk
from parts import IDS, add_versions, file_id, sandbox
from peers import SERVER_CORE
from works import at_least, at_most

NODES = 5


class Effort(NamedTuple):
    # Sizes of the fleets that are compared, in nodes.
    fleets: tuple
    # Seconds of a load that compares refreshes.
    long: int
    # Seconds of any other load.
    short: int
    # Rounds of hits, and the seconds of each.
    rounds: int
    seconds: int
    purges: int


class Found(NamedTuple):
    work: str
    what: str
    found: str


def evenly(nodes, per_second, seconds, files, fields=lambda number: ""):
    """Plans requests at a rate per second, each to the next node, for the given files."""
    for number in range(per_second * seconds):
        yield Asked(number / per_second, nodes[number % len(nodes)].url, files(number),
                    fields(number))


def only(answers, status=200):
    if others := {answer.status for answer in answers} - {status}:
        raise SystemExit(f"answered with {others} instead of {status}")
    return answers


def second_level(nodes):
    """Returns the outcomes of second-level lookups and stores."""
    counted = of_all(nodes, "ikgate_second_level_total")
    return {labels.split('"')[1]: int(value) for labels, value in counted.items() if value}


def told(looks):
    said = ", ".join(f"{number:,} {name}" for name, number in sorted(looks.items()))
    return f"; second level: {said}" if said else ""


def upstream_calls(effort):
    """Measures calls to the upstream, 50 ms away, for the same 1,000 requests a second spread
    over more and more nodes: 2,000 files, as popular as Zipf says (s = 1), with a ttl of a
    quarter of the time, all nodes empty at first."""
    files = [file_id(number, prefix) for prefix in ("65", "66") for number in range(IDS)]
    weights = [1 / place for place in range(1, len(files) + 1)]
    asked = random.Random(1).choices(files, weights, k=1000 * effort.long)
    totals = {}
    with sandbox("--latency", "50ms") as upstream:
        add_versions(upstream, "66", 1)
        for shares in (True, False):
            for count in effort.fleets:
                with contextlib.ExitStack() as running:
                    server = running.enter_context(redis()) if shares else None
                    nodes = running.enter_context(
                        fleet(count, upstream, server, cache__ttl=f'"{250 * effort.long}ms"'))
                    plan = evenly(nodes, 1000, effort.long, asked.__getitem__)
                    taken = [one.ended - one.began for one in only(on_time(plan))]
                    calls = of_all(nodes, "ikgate_upstream_requests_total")
                    total = int(calls.pop('outcome="ok"'))
                    looks = second_level(nodes)
                totals[shares, count] = total
                failed = int(sum(calls.values()))
                name = f"{count} {'of a fleet' if shares else 'alone'}"
                yield Found("upstream_calls", name,
                            f"{total:,} calls, {failed} failed; p99 "
                            f"{percentiles(taken)[1] * 1000:.0f} ms{told(looks)}")
    shared = [total for (shares, _), total in totals.items() if shares]
    counts = ", ".join(map(str, effort.fleets))
    yield at_most("upstream_calls", f"calls of {counts} nodes differ by under 5 %", 5,
                  (max(shared) / min(shared) - 1) * 100, " %")
    yield at_most("upstream_calls", "1 node calls as often as one without a fleet, within 5 %", 5,
                  abs(totals[True, 1] / totals[False, 1] - 1) * 100, " %")


def purge(effort):
    """Measures the time from a purge at one node until all 5 answer with what was changed before
    it, polled one after the other; and until none of them has the old list any more, without
    asking for a new one."""
    numbers = range(2 * effort.purges)
    with sandbox() as upstream, redis() as server, fleet(NODES, upstream, server) as nodes:
        callers = [Connection(node.port) for node in nodes]
        admins = [Connection(node.admin) for node in nodes]
        control = Connection(address_of(f"http://{upstream}")[1])
        taken = {"answered": ([], []), "gone": ([], [])}
        waited = 0
        for number in numbers:
            file = file_id(number % IDS)
            for one in callers:
                one.ask("GET", f"/v1/files/{file}/versions")
            # Other nodes may be about to store the list that was just fetched.
            time.sleep(0.005)
            version = control.ask_json("POST", f"/_sandbox/files/{file}/versions")
            newest = version["versionInfo"]["id"].encode()
            asking = number % 2 == 0
            began = time.perf_counter()
            admins[number // 2 % NODES].ask("DELETE", f"/api/cache/{file}")
            acknowledged = time.perf_counter()
            left = list(range(NODES))
            while left:
                node = left.pop(0)
                if asking:
                    asked = time.perf_counter()
                    done = newest in callers[node].ask("GET", f"/v1/files/{file}/versions")
                    waited += time.perf_counter() - asked > 0.02
                else:
                    done = not admins[node].ask_json("GET", f"/api/cache/{file}")["stored"]
                if not done:
                    left.append(node)
            ended = time.perf_counter()
            for times, since in zip(taken["answered" if asking else "gone"], (acknowledged, began)):
                times.append((ended - since) * 1000)
        looks = second_level(nodes)
    said = {"answered": "all answer with the new list", "gone": "the old list is gone"}
    for name, what in said.items():
        for times, since in zip(taken[name], ("the acknowledgement", "sending")):
            p50, p99 = percentiles(times)
            yield Found("purge", f"{what}, from {since}",
                        f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, of {len(times)}")
    yield Found("purge", "answers that took longer than 20 ms",
                f"{waited} of {effort.purges * NODES:,} that were new{told(looks)}")
    for name, what in said.items():
        yield at_most("purge", f"{what}: p99 from the acknowledgement under 20 ms", 20,
                      percentiles(taken[name][0])[1], " ms")


def hits(effort):
    """Compares hits of one node of 3 with a node without a fleet, both on one core, wrk on the
    other: 0.9 KB, 64 connections, 1,000 ids, by a caller with a key, whose quota is shared, and
    by an anonymous caller."""
    block, field = caller("load", 1_000_000, 1_000_000)
    with sandbox() as upstream, redis() as server, contextlib.ExitStack() as running:
        together, apart = (
            running.enter_context(fleet(count, upstream, of, cores=SERVER_CORE, callers=[block]))[0]
            for count, of in ((3, server), (1, None)))
        both = {"fleet": together, "alone": apart}
        for node in both.values():
            only(on_time(evenly([node], 500, IDS // 500, file_id)))
        for who, fields in (("caller with a key", [field]), ("anonymous", [])):
            rounds = []
            for number in range(effort.rounds):
                # Alternates the order, so that the same one does not always come second.
                order = sorted(both, reverse=number % 2 == 1)
                rounds.append({name: wrk(both[name], effort.seconds, fields=fields)
                               for name in order})
            for name in both:
                requests, cpu, p99 = (statistics.median(getattr(one[name], value) for one in rounds)
                                      for value in ("requests", "cpu", "p99"))
                yield Found("hits", f"{who}, {name}", f"{requests:,.0f} requests/s, {cpu:.2f} µs "
                            f"of CPU each, p99 {p99:.2f} ms")
            ratios = sorted(one["fleet"].requests / one["alone"].requests for one in rounds)
            more = statistics.median(one["fleet"].cpu / one["alone"].cpu for one in rounds)
            yield Found("hits", f"{who}, fleet over alone",
                        f"requests/s {', '.join(f'{ratio:.3f}' for ratio in ratios)}; "
                        f"median CPU {more:.3f}")
            yield at_least("hits", f"{who}: requests/s in a fleet at least 0.97 of those alone",
                           0.97, statistics.median(ratios))
            yield at_most("hits", f"{who}: CPU of a hit in a fleet at most 1.03 times that alone",
                          1.03, more)


def over(times, per_second, burst):
    """Returns the largest excess over the quota (burst plus rate) in any period of time."""
    times, most = sorted(times), 0
    least = float("inf")
    # Requests spent minus requests refilled, above the lowest value of that difference.
    for number, at in enumerate(times):
        least = min(least, number - per_second * at)
        most = max(most, number + 1 - per_second * at - least)
    return max(0, most - burst)


def quota(effort):
    """Measures what 5 nodes together admit of one caller's quota and send of the upstream's budget,
    under a load above both."""
    rate, burst = 200, 100
    block, field = caller("busy", rate, burst)
    credit = NODES * max(2, burst // NODES)
    with sandbox() as upstream:
        for where, asked in (("all nodes asked", NODES), ("one node asked", 1)):
            # A new fleet each time: earlier spending must not reduce the quota.
            with redis() as server, fleet(NODES, upstream, server, callers=[block]) as nodes:
                with_key = lambda number: field + "\r\n"
                plan = evenly(nodes[:asked], 500, effort.short, file_id_of_few, with_key)
                answers = on_time(plan)
            admitted = [one.ended for one in answers if one.status == 200]
            seconds = effort.short
            whole = burst + rate * seconds
            yield Found("quota", f"caller, {rate} a second and {burst} at once, {where}",
                        f"{len(admitted):,} admitted of {len(answers):,} in {seconds} s; "
                        f"burst and rate are {whole:,}; at most "
                        f"{over(admitted, rate, burst):.0f} over them in any time")
            yield at_most("quota", f"caller, {where}: no more than src/limit/lease says",
                          whole + rate + credit, len(admitted), f" of {whole + rate + credit:,}")
            yield at_least("quota", f"caller, {where}: at least 0.95 of burst and rate", 0.95,
                           len(admitted) / whole)
    yield from budget(effort)


def file_id_of_few(number):
    return file_id(number % 10)


def budget(effort, rate=40, burst=100):
    seconds, setting = effort.short, f"{{ per_second = {rate}, burst = {burst} }}"
    whole = burst + rate * seconds
    for where, asked in (("all nodes asked", NODES), ("one node asked", 1)):
        with (counting_upstream() as (upstream, reached), redis() as server,
              fleet(NODES, upstream, server, upstream__budget=setting) as nodes):
            plan = evenly(nodes[:asked], 150, seconds, file_id)
            began = time.perf_counter()
            answers = on_time(plan)
        # Requests that wait for a call permit still wait after the last request was sent.
        within = [at for at in reached if at < began + seconds]
        soon = sum(at < began + 1 for at in reached)
        good = sum(one.status == 200 for one in answers)
        yield Found("quota", f"budget, {rate} a second and {burst} at once, {where}",
                    f"{len(within):,} calls for {len(answers):,} requests in {seconds} s, {soon} "
                    f"of them in the first, {good:,} answered; burst and rate are {whole:,}; at "
                    f"most {over(reached, rate, burst):.0f} over them in any time")
        most = whole + rate
        yield at_most("quota", f"budget, {where}: no more than burst and rate and a second's",
                      most, len(within), f" of {most:,}")
        yield at_least("quota", f"budget, {where}: at least 0.95 of it used", 0.95,
                       len(within) / whole)


def cost(spent, quiet, what, count):
    """Returns the cost of each operation in Redis, without the cost of the fleet at rest."""
    more = spent.cpu - quiet.cpu / quiet.seconds * spent.seconds
    return f"{more / count * 1e6:.0f} µs of Redis's CPU for each {what}"


def in_general(spent):
    scripts = spent.calls.get("evalsha", 0)
    return (f"{spent.commands / spent.seconds:,.0f} commands/s in {scripts / spent.seconds:,.0f} "
            f"scripts/s, {spent.cpu / spent.seconds:.2%} of a core")


def redis_cost(effort):
    """Measures the cost of a fleet of 5 in Redis: at rest, for 200 fills a second, for what one
    fetched and another takes, for 1,000 callers that ask once a second each; what a stored list
    takes there; and what looking there adds to a miss."""
    seconds = effort.short
    known = [caller(f"caller-{number}", 10, 20) for number in range(1000)]
    with sandbox() as upstream, redis() as server:
        for prefix in ("70", "71", "72", "73"):
            add_versions(upstream, prefix, 1)
        alone = spent_by(server, lambda: time.sleep(seconds))
        yield Found("redis", "no node", in_general(alone))
        blocks = [block for block, _ in known]
        with fleet(NODES, upstream, server, callers=blocks) as nodes:
            quiet = spent_by(server, lambda: time.sleep(seconds))
            beats = NODES * quiet.seconds
            yield Found("redis", f"{NODES} nodes at rest",
                        f"{in_general(quiet)}; {cost(quiet, alone, 'beat', beats)}")
            yield from fills_and_takes(nodes, server, quiet, seconds)
            fields = lambda number: known[number % len(known)][1] + "\r\n"
            plan = evenly(nodes, 1000, seconds, file_id_of_few, fields)
            only(on_time(evenly(nodes, 100, 1, file_id_of_few)))
            claiming = spent_by(server, lambda: only(on_time(plan)))
            claims = claiming.calls["get"]
            yield Found("redis", "1,000 callers, one request a second each",
                        f"{claims / claiming.seconds:,.0f} claims/s; {in_general(claiming)}; "
                        f"{cost(claiming, quiet, 'claim', claims)}")
            yield from looks(nodes[0], upstream)
        yield from misses_on_a_budget(upstream, server, seconds)


def fills_and_takes(nodes, server, quiet, seconds):
    files = [file_id(number, prefix) for prefix in ("70", "71") for number in range(IDS)]
    count = min(200 * seconds, len(files))
    before = server.info()
    filling = spent_by(server, lambda: only(on_time(
        evenly(nodes, 200, count // 200, files.__getitem__))))
    memory = int(server.info()["used_memory"]) - int(before["used_memory"])
    yield Found("redis", "200 fills a second",
                f"{in_general(filling)}; {cost(filling, quiet, 'fill', count)}")
    yield Found("redis", "memory", f"{memory / count:,.0f} bytes for each of {count:,} stored "
                f"lists of 0.9 KB")
    # Uses the next node each time.
    nodes = nodes[1:] + nodes[:1]
    taking = spent_by(server, lambda: only(on_time(
        evenly(nodes, 200, count // 200, files.__getitem__))))
    yield Found("redis", "the same from the next node",
                f"{in_general(taking)}; {cost(taking, quiet, 'look', count)}"
                f"{told(second_level(nodes))}")


def looks(together, upstream):
    with fleet(1, upstream, None) as (apart,):
        urls = {"alone": f"{apart.url}/v1", "fleet": f"{together.url}/v1"}
        in_turn(urls, [file_id(number, "65") for number in range(20, 40)])
        taken = in_turn(urls, [file_id(number, "72") for number in range(IDS)])
    for name, (p50, p99) in taken.items():
        yield Found("redis", f"a miss, {name}", f"p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    (p50, p99), (more_p50, more_p99) = taken["alone"], taken["fleet"]
    yield Found("redis", "looking adds to a miss",
                f"{more_p50 - p50:.2f} ms to the p50, {more_p99 - p99:.2f} ms to the p99")


def misses_on_a_budget(upstream, server, seconds):
    """Settings under which each call needs a grant first."""
    setting = {"upstream__budget": "{ per_second = 40, burst = 100 }"}
    with (fleet(NODES, upstream, server, **setting) as nodes,
          fleet(1, upstream, None, **setting) as (apart,)):
        both = {"alone": apart, "fleet": nodes[0]}
        plan = evenly([*both.values()], 20, seconds, lambda number: file_id(number, "73"))
        answers = only(on_time(plan))
    for name, node in both.items():
        taken = [(one.ended - one.began) * 1000 for one in answers if one.asked.url == node.url]
        p50, p99 = percentiles(taken)
        yield Found("redis", f"10 misses a second, {name}, 40 calls a second and 100 at once",
                    f"p50 {p50:.2f} ms, p99 {p99:.2f} ms")


redis_cost.__name__ = "redis"

WORKS = [upstream_calls, purge, hits, quota, redis_cost]
