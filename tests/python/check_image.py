#!/usr/bin/env python3
"""Runs the program as its image does: nothing around it but the libraries of the base image, as a user that owns nothing.

    CURFEW_TEST_BINARIES=target/debug VENV/bin/python tests/python/check_image.py

No container engine is needed: a folder with what `gcr.io/distroless/cc` has becomes the root of new user and mount namespaces
(Linux, `unshare`). Intake and the controller, on the cloud and store of a demo outside, must become ready, pass the image's health
check, leave the root as it was, and end well when they are told to. The demo's image adds a folder for its data, and no more.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import yaml
from manifests import image

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = pathlib.Path(os.environ.get("CURFEW_TEST_BINARIES", ROOT / "target/debug")).resolve()

# The shared libraries of distroless/cc-debian12, and its C library's version.
LIBRARIES = {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "libstdc++.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "ld-linux-x86-64.so.2"}
GLIBC = (2, 36)

USER = 65532
CERTIFICATES = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")

# A debug build on a busy machine.
DEADLINE_SECONDS = 60


def main():
    if not shutil.which("unshare") or subprocess.run(["unshare", "--user", "--mount", "true"], capture_output=True).returncode:
        print("not judged: this machine lets nobody make namespaces")
        return 1 if os.environ.get("CI") == "true" else 0
    with temporary_folder() as folder:
        root = folder / "root"
        found = [*needs(BINARIES / "curfew"), *_missing_library_is_found(folder / "broken")]
        build(root)
        with demo(folder / "demo") as configuration:
            put_configuration(root, configuration)
            close(root)
            found += _write_is_refused(root)
            before = listing(root)
            for part in ("controller", "intake"):
                found += run(root, part)
            found += _demo_runs(folder / "demo-root")
            if listing(root) != before:
                found.append(f"the root has changed: {sorted(set(listing(root)) ^ set(before))}")
    for problem in found:
        print(f"VIOLATION {problem}", file=sys.stderr)
    if not found:
        print(f"controller, intake and demo run as {USER} on a read-only root with {len(libraries(BINARIES / 'curfew'))} libraries")
    return 1 if found else 0


def needs(program):
    """What the program needs and the base image has not."""
    for name in libraries(program):
        if name not in LIBRARIES:
            yield f"{program.name} needs {name}, which the base image has not"
    symbols = subprocess.run(["objdump", "-T", program], check=True, capture_output=True, text=True).stdout
    newest = max(tuple(map(int, version.split("."))) for version in re.findall(r"GLIBC_(\d+\.\d+)", symbols))
    if newest > GLIBC:
        yield f"{program.name} needs glibc {newest}, the base image has {GLIBC}"


def libraries(program):
    """The shared libraries of a program: where each is, by name."""
    said = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return {pathlib.Path(path).name: path for path in re.findall(r"(/\S+) \(0x", said)}


def build(root, without=(), programs=("curfew",)):
    """The base image's libraries and certificates, and the programs where the image has them."""
    folder = root / "usr/local/bin"
    folder.mkdir(parents=True)
    for name in programs:
        shutil.copy2(BINARIES / name, folder / name)
    for name, path in libraries(BINARIES / "curfew").items():
        if name not in without:
            target = root / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
    if CERTIFICATES.is_file():
        target = root / str(CERTIFICATES).lstrip("/")
        target.parent.mkdir(parents=True)
        shutil.copy2(CERTIFICATES, target)


def put_configuration(root, configuration):
    """The demo's configuration and keys, where the image looks for them."""
    folder = root / "etc/curfew"
    shutil.copytree(configuration.parent, folder, ignore=shutil.ignore_patterns("cloud", "curfew.db*"))
    settings = yaml.safe_load(configuration.read_text(encoding="utf-8"))
    settings.pop("listen")
    for key in settings["keys"]:
        key["from"], key["until"] = key["from"].isoformat(), key["until"].isoformat()
    (folder / "curfew.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")


def close(root):
    """Nobody may write anything below it."""
    for path in [root, *root.rglob("*")]:
        if path.is_dir():
            path.chmod(0o555)
        elif not path.name.endswith(".key"):
            path.chmod(0o555 if os.access(path, os.X_OK) else 0o444)


@contextlib.contextmanager
def temporary_folder():
    """A folder that can be removed whatever was closed in it."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            yield pathlib.Path(folder)
        finally:
            for path in pathlib.Path(folder).rglob("*"):
                if path.is_dir():
                    path.chmod(0o755)


def listing(root):
    return [(str(path.relative_to(root)), path.lstat().st_size, path.lstat().st_mtime_ns) for path in sorted(root.rglob("*"))]


def inside(root, *arguments):
    """A command in the root, as the image's user."""
    return ["unshare", "--user", f"--map-user={USER}", f"--map-group={USER}", "--mount", f"--root={root}", "--wd=/", *arguments]


def run(root, part):
    """Starts a part, judges it, and ends it."""
    app, ops = free_port(), free_port()
    environment = {
        "CURFEW_CONFIG": "/etc/curfew/curfew.yaml",
        "CURFEW_LISTEN__APP": f"127.0.0.1:{app}",
        "CURFEW_LISTEN__OPS": f"127.0.0.1:{ops}",
    }
    health = image.health_commands((ROOT / "Dockerfile").read_text(encoding="utf-8"))[0]
    process = subprocess.Popen(inside(root, "/usr/local/bin/curfew", part), env=environment, stderr=subprocess.PIPE, text=True)
    try:
        if not ready(process, f"http://127.0.0.1:{ops}/readyz"):
            process.kill()
            yield f"{part} does not become ready: {process.communicate()[1][-2000:]}"
            return
        if part == "intake" and not answers(f"http://127.0.0.1:{app}/health"):
            yield "intake does not answer /health"
        for port, expected in ((ops, 0), (free_port(), 1)):
            asked = environment | {"CURFEW_LISTEN__OPS": f"127.0.0.1:{port}"}
            ended = subprocess.run(inside(root, "/usr/local/bin/curfew", *health), env=asked, capture_output=True, text=True)
            if ended.returncode != expected:
                yield f"{part}: the health check ends with {ended.returncode} instead of {expected}: {ended.stderr}"
        process.send_signal(signal.SIGTERM)
        if code := process.wait(timeout=DEADLINE_SECONDS):
            yield f"{part} ends with {code} on SIGTERM: {process.stderr.read()[-2000:]}"
    finally:
        process.kill()
        process.wait()


def ready(process, url):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if answers(url):
            return True
        time.sleep(0.1)
    return False


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False


@contextlib.contextmanager
def demo(folder):
    """A demo outside; its configuration."""
    ports = {name: free_port() for name in ("--port", "--cloud-port", "--ops-port", "--store-port")}
    arguments = [text for name, port in ports.items() for text in (name, str(port))]
    process = subprocess.Popen([BINARIES / "curfew-demo", "--data", folder, *arguments], stdout=subprocess.DEVNULL)
    try:
        if not ready(process, f"http://127.0.0.1:{ports['--ops-port']}/readyz"):
            raise RuntimeError("the demo does not become ready")
        yield folder / "curfew.yaml"
    finally:
        process.terminate()
        process.wait()


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def _missing_library_is_found(root):
    """The control: in a root without one of the libraries the program must not start."""
    build(root, without={"libgcc_s.so.1"})
    close(root)
    ended = subprocess.run(inside(root, "/usr/local/bin/curfew", "--version"), capture_output=True, text=True)
    if "libgcc_s.so.1" not in ended.stderr:
        yield f"a missing library is not noticed: {json.dumps(ended.stderr)}"


def _demo_runs(root):
    """The demo in its image: a folder for its data is all that it may write."""
    yield from needs(BINARIES / "curfew-demo")
    build(root, programs=("curfew", "curfew-demo"))
    close(root)
    root.chmod(0o755)
    (root / "tmp").mkdir(mode=0o755)
    root.chmod(0o555)
    ops = free_port()
    ports = ["--ops-port", ops, "--port", free_port(), "--cloud-port", free_port(), "--store-port", free_port()]
    process = subprocess.Popen(
        inside(root, "/usr/local/bin/curfew-demo", *map(str, ports)), env={}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        health = ["health", "--url", f"http://127.0.0.1:{ops}/livez"]
        if not ready(process, f"http://127.0.0.1:{ops}/readyz"):
            process.kill()
            yield f"the demo does not become ready: {process.communicate()[1][-2000:]}"
        elif subprocess.run(inside(root, "/usr/local/bin/curfew", *health), env={}).returncode:
            yield "the demo does not pass its health check"
    finally:
        process.terminate()
        process.wait(timeout=DEADLINE_SECONDS)


def _write_is_refused(root):
    """The control: whatever writes must fail, or the root is not closed."""
    store = ["firestore-local", "--listen", "127.0.0.1:0", "--path", "/etc/curfew/new.db"]
    ended = subprocess.run(inside(root, "/usr/local/bin/curfew", *store), capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    if ended.returncode == 0 or "new.db" not in ended.stderr:
        yield f"a file can be written: {ended.stderr}"


if __name__ == "__main__":
    sys.exit(main())
