"""Starts each peer on the same disk, measures it, stops it, and prints one table. benches/peers/run calls it."""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).parent
CALLERS = (1, 32)
START_TIMEOUT = 60.0

JOBS = {
    "no_op": "",
    "three": "ctx:step('a', function() return 1 end) ctx:step('b', function() return 2 end)\n"
    "    return ctx:step('c', function() return 3 end)",
    "hello": "print('first line')",
}


def say(text):
    print(text, file=sys.stderr, flush=True)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def fsync_rate(folder, seconds=2.0):
    """How often a second a block can be overwritten and be safely on disk."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        count, began = 0, time.monotonic()
        while time.monotonic() - began < seconds:
            os.pwrite(file.fileno(), b"\7" * 4096, 0)
            os.fdatasync(file.fileno())
            count += 1
        return count / (time.monotonic() - began)


def answers(url, token=""):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        # Straight to its address, whatever proxy the environment names.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=2) as answer:
            return answer.read().decode()
    except OSError:
        return None


def until(what, child, ask):
    """Asks until the answer is something, as long as the process is there."""
    began = time.monotonic()
    while time.monotonic() - began < START_TIMEOUT:
        if found := ask():
            return found
        if child.poll() is not None:
            raise SystemExit(f"benches/peers: {what} did not come about; its program ended with {child.returncode}")
        time.sleep(0.05)
    raise SystemExit(f"benches/peers: {what} did not come about within {START_TIMEOUT:.0f} s")


@contextlib.contextmanager
def process(command, log, **options):
    """A program of ours for a while; what it says goes to a file."""
    with open(log, "ab") as output:
        child = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, **options)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def memory_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def load(scratch, seconds, **asked):
    command = ["node", scratch / "node/load.mjs", json.dumps({"token": "", "seconds": seconds, **asked})]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=scratch / "node").stdout)


def measure(name, ask):
    """`ask(job, callers)` measures one; gives the peer's row of the table."""
    row = {"peer": name}
    for job in ("no_op", "three"):
        for callers in CALLERS:
            row[job, callers] = ask(job, callers)
            say(f"{name}: {job}, {callers} callers: {row[job, callers]}")
    row["hello"] = ask("hello", 1)
    say(f"{name}: first line: {row['hello']}")
    return row


@contextlib.contextmanager
def postgres(folder):
    """A server of our own with everything at its default, fsync included."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    programs = found[-1] if found else pathlib.Path(shutil.which("initdb") or "/initdb").parent
    data = folder / "postgres"
    data.mkdir()
    user = []
    if os.geteuid() == 0:
        shutil.chown(data, "postgres", "postgres")
        folder.chmod(0o755)
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
    made = [*user, programs / "initdb", "--pgdata", data / "data", "--username=bench", "--auth=trust"]
    made += ["--encoding=UTF8", "--locale=C.UTF-8"]
    subprocess.run(made, check=True, stdout=subprocess.DEVNULL, cwd=data)
    port = free_port()
    command = [*user, programs / "postgres", "-D", data / "data", "-k", data, "-p", str(port)]
    with process(command, folder / "postgres.log", cwd=data) as child:
        client = [programs / "psql", "-h", "127.0.0.1", "-p", str(port), "-U", "bench", "-d", "postgres", "-c"]

        def run(statement):
            return subprocess.run([*client, statement], capture_output=True).returncode == 0

        until("PostgreSQL", child, lambda: run("SELECT 1"))

        def database(name):
            assert run(f"CREATE DATABASE {name}")
            return f"postgresql://bench@127.0.0.1:{port}/{name}"

        yield database


def aegis(name, arguments, folder, url):
    folder.mkdir()
    (folder / "scripts").mkdir()
    for job, body in JOBS.items():
        source = f"return aegis.job {{\n  overlap = 'parallel', resume = true,\n  run = function(ctx)\n    {body}\n  end,\n}}\n"
        (folder / "scripts" / f"{job}.lua").write_text(source)
    port = free_port()
    config = {
        "http": {"listen": f"127.0.0.1:{port}"},
        "docker": {"host": "unix:///nonexistent/docker.sock"},
        "log": {"level": "warn"},
        "store": {"url": url},
    }
    (folder / "aegis.yaml").write_text(json.dumps(config))
    base = f"http://127.0.0.1:{port}"
    daemon = [arguments.binary, "daemon", "--config", "aegis.yaml"]
    with process(daemon, folder / "log", cwd=folder) as child:
        until("Aegis", child, lambda: answers(f"{base}/health/live") is not None)
        created = [arguments.binary, "token", "create", "bench", "--role", "admin"]
        environment = {**os.environ, "AEGIS_SOCKET": str(folder / "run/aegis.sock")}
        token = subprocess.run(created, cwd=folder, env=environment, capture_output=True, check=True).stdout.decode().strip()
        until("the jobs", child, lambda: (answers(f"{base}/api/v1/jobs", token) or "").count('"name"') >= len(JOBS))
        asked = {"peer": "aegis", "base": base, "token": token}
        ask = lambda job, callers: load(arguments.scratch, arguments.seconds, job=job, callers=callers, **asked)
        row = measure(name, ask)
        row["memory"] = memory_mib(child.pid)
        return row


def restate(arguments, folder):
    folder.mkdir()
    ports = {name: free_port() for name in ("service", "ingress", "admin", "node")}
    programs = arguments.scratch / "node"
    server = next(programs.glob("node_modules/@restatedev/restate-server-*/bin/restate-server"))
    environment = {
        **os.environ,
        "DO_NOT_TRACK": "1",
        "RESTATE_DISABLE_TELEMETRY": "true",
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_BIND_IP": "127.0.0.1",
        "RESTATE_BIND_PORT": str(ports["node"]),
        "RESTATE_INGRESS__BIND_PORT": str(ports["ingress"]),
        "RESTATE_ADMIN__BIND_PORT": str(ports["admin"]),
        "RESTATE_LOG_FILTER": "warn",
    }
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        environment.pop(name, None)
    service = ["node", programs / "restate_service.mjs", str(ports["service"])]
    command = [server, "--node-name", "bench", "--base-dir", folder / "data", "--no-logo"]
    admin = f"http://127.0.0.1:{ports['admin']}"
    with (
        process(service, folder / "service.log", env={**environment, "NODE_ENV": "production"}),
        process(command, folder / "server.log", env=environment, cwd=folder) as child,
    ):
        until("Restate", child, lambda: answers(f"{admin}/health") is not None)
        body = json.dumps({"uri": f"http://127.0.0.1:{ports['service']}"}).encode()

        def register():
            request = urllib.request.Request(f"{admin}/deployments", body, {"Content-Type": "application/json"})
            try:
                with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
                    return answer.status < 300
            except OSError:
                return False

        until("the registration with Restate", child, register)
        base = f"http://127.0.0.1:{ports['ingress']}"
        asked = {"peer": "restate", "base": base}
        ask = lambda job, callers: load(arguments.scratch, arguments.seconds, job=job, callers=callers, **asked)
        until("the first call", child, lambda: try_once(arguments, asked))
        row = measure("Restate", ask)
        row["memory"] = memory_mib(child.pid)
        return row


def try_once(arguments, asked):
    try:
        return load(arguments.scratch, 0.2, job="no_op", callers=1, **asked)["rate"] > 0
    except subprocess.CalledProcessError:
        return False


def dbos(name, arguments, url):
    memory = []

    def ask(job, callers):
        asked = json.dumps({"url": url, "job": job, "callers": callers, "seconds": arguments.seconds})
        command = [sys.executable, HERE / "dbos_load.py", asked]
        output = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode()
        answer = json.loads(output.strip().splitlines()[-1])
        memory.append(answer["memory"])
        return answer

    row = measure(name, ask)
    row["memory"] = max(memory)
    return row


def table(rows, before, after, arguments):
    heads = ["peer"] + [f"{job}, {callers} caller{'s' * (callers > 1)}" for job in ("no-op", "3 steps") for callers in CALLERS]
    heads += ["first line p50 / p99", "memory"]
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    millis = lambda value: "-" if value is None else f"{value:.1f} ms"
    for row in rows:
        rates = []
        for job in ("no_op", "three"):
            for callers in CALLERS:
                cell = row[job, callers]
                failed = f", {cell['failures']} failed" if cell["failures"] else ""
                rates.append(f"{cell['rate']:.0f} /s (p50 {millis(cell['p50'])}, p99 {millis(cell['p99'])}{failed})")
        hello = row["hello"]
        cells = [row["peer"], *rates, f"{millis(hello['p50'])} / {millis(hello['p99'])}", f"{row['memory']:.0f} MiB"]
        lines.append("| " + " | ".join(cells) + " |")
    lines.append("")
    lines.append(
        f"Durable runs a second, each waited for by its caller; {arguments.seconds:g} s a cell on {os.cpu_count()} "
        f"processors, the callers' included. fsync of 4 KiB: {before:.0f} /s before, {after:.0f} /s after."
    )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--scratch", type=pathlib.Path, required=True)
    parser.add_argument("--binary", type=lambda path: pathlib.Path(path).resolve(), required=True)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--only", default="aegis,restate,dbos")
    arguments = parser.parse_args()
    arguments.scratch = arguments.scratch.resolve()
    # So that whatever was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("benches/peers: stopped"))
    wanted = set(arguments.only.split(","))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=arguments.scratch))
    arguments.scratch.chmod(0o755)
    try:
        before = fsync_rate(folder)
        say(f"fsync of 4 KiB: {before:.0f} /s")
        rows = []
        with postgres(folder) as database:
            if "aegis" in wanted:
                rows.append(aegis("Aegis, SQLite", arguments, folder / "aegis-sqlite", "sqlite://data/aegis.db"))
                url = database("aegis").replace("postgresql://", "postgres://")
                rows.append(aegis("Aegis, PostgreSQL", arguments, folder / "aegis-postgres", url))
            if "restate" in wanted:
                rows.append(restate(arguments, folder / "restate"))
            if "dbos" in wanted:
                rows.append(dbos("DBOS, SQLite", arguments, f"sqlite:///{folder}/dbos.sqlite"))
                rows.append(dbos("DBOS, PostgreSQL", arguments, database("dbos")))
        print(table(rows, before, fsync_rate(folder), arguments))
    except BaseException:
        for log in sorted(folder.glob("**/*log")):
            if log.is_file():
                say(f"--- {log}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:]))
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()
