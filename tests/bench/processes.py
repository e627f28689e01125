#!/usr/bin/env python3
"""Memory, files and start-up of `serve` with its connections in one process or in several.

usage: processes.py HOST_RUNNER COMPONENT PROCESSES[,PROCESSES...] [CONNECTIONS]

Each process has a data folder of its own, and an empty code cache. Linux only.
"""
import os
import pathlib
import re
import sqlite3
import subprocess
import sys
import tempfile
import time

PATIENCE_S = 600
FILE = """name = "c{i}"
component = "{component}"
[config]
secret = "s3cret-{i:04}"
rows = 100
[sink]
path = "../c{i}.db"
"""


def rows(file):
    try:
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
            return database.execute("SELECT count(*) FROM things").fetchone()[0]
    except sqlite3.Error:
        return 0


def until(condition):
    end = time.time() + PATIENCE_S
    while not condition():
        if time.time() > end:
            sys.exit("timed out")
        time.sleep(0.05)


def measure(runner, component, processes, connections):
    with tempfile.TemporaryDirectory() as base:
        folders = [pathlib.Path(base, str(number)) for number in range(processes)]
        sinks = []
        for number, folder in enumerate(folders):
            (folder / "c").mkdir(parents=True)
            for i in range(number * connections // processes, (number + 1) * connections // processes):
                (folder / f"c/c{i}.toml").write_text(FILE.format(i=i, component=component))
                sinks.append(folder / f"c{i}.db")
        started = time.time()
        arguments = [runner, "serve", "--connections", "c", "--listen", "127.0.0.1:0"]
        running = []
        for folder in folders:
            with open(folder / "log", "w") as log:
                running.append(subprocess.Popen(arguments, cwd=folder, stderr=log))
        listens = re.compile(r"(^|\s)listening on http")
        until(lambda: all(listens.search((folder / "log").read_text()) for folder in folders))
        listening = time.time() - started
        until(lambda: all(rows(sink) >= 100 for sink in sinks))
        caught_up = time.time() - started
        time.sleep(5)  # Idle instances are dropped after a second.
        total = dict.fromkeys(["rss", "pss", "peak", "files", "cpu"], 0)
        for process in running:
            proc = pathlib.Path("/proc", str(process.pid))
            kib = lambda file, name: int(re.search(rf"^{name}:\s+(\d+)", (proc / file).read_text(), re.M)[1])
            total["rss"] += kib("smaps_rollup", "Rss")
            total["pss"] += kib("smaps_rollup", "Pss")
            total["peak"] += kib("status", "VmHWM")
            total["files"] += len(os.listdir(proc / "fd"))
            fields = (proc / "stat").read_text().rsplit(")", 1)[1].split()
            total["cpu"] += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        for process in running:
            process.terminate()
        for process in running:
            process.wait()
    mib = lambda name: f"{total[name] >> 10} MiB"
    print(f"| {processes} | {mib('rss')} | {mib('pss')} | {mib('peak')} | {total['files']} "
          f"| {listening:.1f} s | {caught_up:.1f} s | {total['cpu']:.1f} s |", flush=True)


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    runner, component = map(os.path.abspath, sys.argv[1:3])
    connections = int(sys.argv[4]) if len(sys.argv) == 5 else 100
    print("| processes | RSS | PSS | peak RSS | files | listening | all rows | CPU |")
    print("|---|---|---|---|---|---|---|---|")
    for processes in map(int, sys.argv[3].split(",")):
        measure(runner, component, processes, connections)


main()
