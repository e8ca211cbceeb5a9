#!/usr/bin/env python3
# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

"""Runs the tests of Boost.Redis and the examples of Boost.MySQL through the drop-in, against real servers.

    databases.py --tests <folder with checkouts of boostorg/redis, mysql and charconv, named so>
                 --library <libsafer_ring.a> --boost <include folder of the same Boost>
                 [--report <file>] [--only <pattern>]

They are copied to a temporary folder; of charconv, which Boost.MySQL needs compiled, the sources are used. The name
of the context, and nothing else, is replaced. Only what uses a constructor of Boost.Redis that takes a
net::io_context, its tests and cpp17_intro, keeps its contexts, which are attached where they are declared.

redis-server and mariadbd are started for the time, on their usual ports, where the tests look for them; they keep
what they store in that folder.
"""

import argparse
import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import outcomes

PATIENCE_S = 60
ADDRESS = "127.0.0.1"

REDIS_TESTS = """
    test_conn_check_health test_conn_echo_stress test_conn_exec test_conn_exec_cancel test_conn_exec_cancel2
    test_conn_exec_error test_conn_exec_retry test_conn_push test_conn_quit test_conn_reconnect test_issue_181
    test_issue_50 test_run
""".split()

REDIS_EXAMPLES = "cpp17_intro cpp20_intro cpp20_containers cpp20_unix_sockets cpp20_timeouts".split()

USER = "example_user example_password"
# An example with its arguments; several lines where it is run several times.
MYSQL_EXAMPLES = {
    "1_tutorial/1_sync": f"{USER} {ADDRESS}",
    "1_tutorial/2_async": f"{USER} {ADDRESS}",
    "1_tutorial/3_with_params": f"{USER} {ADDRESS} 1",
    "1_tutorial/4_static_interface": f"{USER} {ADDRESS} 1",
    "1_tutorial/5_updates_transactions": f"{USER} {ADDRESS} 1 John",
    "1_tutorial/6_connection_pool": "server",
    "1_tutorial/7_error_handling": "server",
    "2_simple/inserts": f"{USER} {ADDRESS} John Doe HGS",
    "2_simple/deletes": f"{USER} {ADDRESS} 20",
    "2_simple/callbacks": f"{USER} {ADDRESS}",
    "2_simple/disable_tls": f"{USER} {ADDRESS}",
    "2_simple/metadata": f"{USER} {ADDRESS}",
    "2_simple/prepared_statements": f"{USER} {ADDRESS} HGS",
    "2_simple/pipeline": f"{USER} {ADDRESS} HGS",
    "2_simple/multi_function": f"{USER} {ADDRESS}",
    "2_simple/patch_updates": f"{USER} {ADDRESS} 1 --salary=40000",
    "2_simple/dynamic_filters": f"{USER} {ADDRESS} --company-id=AWC --last-name=Alice",
    "2_simple/source_script": f"{USER} {ADDRESS} {{examples}}/private/test_script.sql",
    "2_simple/unix_socket": f"{USER} {{socket}}",
}


def with_our_context(text):
    return re.sub(r"\b(?:net|(?:boost::)?asio)::io_context\b(?!\.)", "safer_ring::io_context", text)


def with_attached_contexts(text):
    return re.sub(r"\b(?:net|asio)::io_context\s+(\w+);",
                  r"\g<0> safer_ring::io_context& \1_attached{safer_ring::attach(\1)};", text)


def listens(port):
    with contextlib.suppress(OSError):
        socket.create_connection((ADDRESS, port), 1).close()
        return True
    return False


@contextlib.contextmanager
def running(command, port, log):
    """A database server, from when it listens."""
    if listens(port):
        raise SystemExit(f"port {port} is taken, where {command[0]} was to listen")
    with log.open("w") as file:
        process = subprocess.Popen([str(word) for word in command], stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{command[0]} does not listen: {log.read_text()[-500:]}")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def redis(work):
    folder = work / "redis-data"
    folder.mkdir()
    with running(["redis-server", "--bind", ADDRESS, "::1", "--port", "6379", "--dir", folder, "--save", "",
                  "--unixsocket", folder / "socket"], 6379, work / "redis.log"):
        yield


def sql(path, *scripts):
    for script in scripts:
        subprocess.run(["mariadb", "--socket", path, "--user", "root"], input=script.read_bytes(), check=True)


@contextlib.contextmanager
def mysql(work, examples):
    data, path = work / "mysql-data", work / "mysql.socket"
    # Started by root, the server would refuse to run without being told whose it is to be.
    user = ["--user=root"] if os.getuid() == 0 else []
    with (work / "mysql-install.log").open("w") as log:
        subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db",
                        "--auth-root-authentication-method=normal", *user], stdout=log, stderr=log, check=True)
    tls = certificate(work)
    with running(["mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={path}", f"--bind-address={ADDRESS}",
                  "--port=3306", *tls, *user], 3306, work / "mysql.log"):
        sql(path, examples / "db_setup.sql")
        yield path


def certificate(work):
    """TLS for the server: the examples ask for it."""
    key, signed = work / "server.key", work / "server.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=mysql",
                    "-keyout", key, "-out", signed], check=True, capture_output=True)
    return [f"--ssl-key={key}", f"--ssl-cert={signed}"]


class Runner:
    def __init__(self, arguments, work):
        self.arguments = arguments
        self.work = work
        self.flags = [*outcomes.flags(arguments), "-DBOOST_MYSQL_SEPARATE_COMPILATION", "-I", work]
        self.objects = {}
        if arguments.through == "drop_in":
            self.flags += ["-include", "safer_ring/drop_in.hpp"]
            for file in [work / "redis/example/main.cpp", *(work / "mysql/example").rglob("*.?pp")]:
                file.write_text(with_our_context(file.read_text()))
            for file in [work / "redis/example/cpp17_intro.cpp", *(work / "redis/test").glob("*.?pp")]:
                file.write_text(with_attached_contexts(file.read_text()))

    def object(self, source):
        """Compiles what several programs share, once."""
        if source not in self.objects:
            made = self.work / f"shared{len(self.objects)}.o"
            error = outcomes.compile_or_error([self.arguments.compiler, *self.flags, "-c", source, "-o", made])
            if error:
                raise SystemExit(f"{source}: {error}")
            self.objects[source] = made
        return self.objects[source]

    def separately(self, library):
        """The sources of a library of Boost that is not only headers, as it wants them compiled."""
        source = self.work / f"{library}_src.cpp"
        if not source.exists():
            source.write_text(f"#include <boost/{library}/src.hpp>\n")
        return self.object(source)

    def program(self, sources):
        program = self.work / "program"
        error = outcomes.compile_or_error(
            [self.arguments.compiler, *self.flags, *sources, "-o", program, self.arguments.library, "-luring",
             "-lssl", "-lcrypto"])
        return program, error

    def redis_test(self, name):
        sources = [self.work / f"redis/test/{name}.cpp", self.object(self.work / "redis/test/common.cpp"),
                   self.separately("redis")]
        return self.outcome(f"Redis: {name}", sources, [""])

    def redis_example(self, name):
        folder = self.work / "redis/example"
        main = [] if name.startswith("cpp17") else [self.object(folder / "main.cpp")]
        return self.outcome(f"Redis: {name}", [folder / f"{name}.cpp", *main, self.separately("redis")], [""])

    def mysql_example(self, name, path):
        words = MYSQL_EXAMPLES[name].format(examples=self.work / "mysql/example", socket=path)
        sources = [self.work / f"mysql/example/{name}.cpp", self.separately("mysql"),
                   *map(self.object, (self.arguments.tests / "charconv/src").glob("*.cpp"))]
        if words == "server":
            return self.outcome(f"MySQL: {name}", sources, None)
        return self.outcome(f"MySQL: {name}", sources, [words])

    def outcome(self, name, sources, runs):
        program, error = self.program(sources)
        if error:
            return outcomes.Outcome(name, "does not compile", error)
        if runs is None:
            return outcomes.Outcome(name, *self.employees(program))
        for words in runs:
            execution = outcomes.execute(program, PATIENCE_S, *words.split())
            if execution.status is None:
                return outcomes.Outcome(name, "does not end", " ".join(execution.output[-200:].split()))
            if execution.status != 0:
                return outcomes.Outcome(name, "fails", " ".join(execution.output[-300:].split()))
        return outcomes.Outcome(name, "passes", summary(execution.output))

    def employees(self, program):
        """The server of the tutorials on connection pools: a number of eight bytes in, a name out."""
        server = subprocess.Popen([program, *USER.split(), ADDRESS, "0"], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
        try:
            port = int(re.search(r"(\d+)\D*$", server.stdout.readline())[1])
            for number, found in ((1, True), (0xFFFFFFFF, False)):
                with socket.create_connection((ADDRESS, port), PATIENCE_S) as client:
                    client.sendall(number.to_bytes(8, "big"))
                    answer = client.recv(4096).decode()
                    if not answer or (answer != "NOT_FOUND") != found:
                        return "fails", f"employee {number}: {answer}"
            server.terminate()
            if server.wait(PATIENCE_S) != 0:
                return "fails", f"status {server.returncode}"
            return "passes", "2 requests"
        except (OSError, TypeError, subprocess.TimeoutExpired) as error:
            return "fails", " ".join(str(error).split())
        finally:
            server.kill()
            server.wait()
            server.stdout.close()


def summary(output):
    """What Boost.Test counted, where it did."""
    counted = re.search(r"Running (\d+) test case", output)
    return f"{counted[1]} cases" if counted else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    outcomes.add_arguments(parser, "folder with checkouts of boostorg/redis, mysql and charconv")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        for library in ("redis", "mysql"):
            for part in ("example", "test"):
                shutil.copytree(arguments.tests / library / part, work / library / part)
        runner = Runner(arguments, work)

        def chosen(names, where):
            return outcomes.selected(arguments, names, work / where, ".cpp")

        def results():
            with redis(work):
                yield from map(runner.redis_test, chosen(REDIS_TESTS, "redis/test"))
                yield from map(runner.redis_example, chosen(REDIS_EXAMPLES, "redis/example"))
            names = chosen(MYSQL_EXAMPLES, "mysql/example")
            if names:
                with mysql(work, work / "mysql/example") as path:
                    yield from (runner.mysql_example(name, path) for name in names)

        return outcomes.report(results(), arguments.report)


if __name__ == "__main__":
    sys.exit(main())
