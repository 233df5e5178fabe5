"""The systemd unit, judged by systemd itself where it is installed."""

import pathlib
import re
import shutil
import subprocess
import tempfile

# systemd's own scale from 0 to 10; "OK" begins below 2.
EXPOSURE_MAX = 2.0


def is_there():
    return shutil.which("systemd-analyze") is not None


def problems(text, product):
    """`text` is the unit; it is judged with the built program in its place."""
    for name in re.findall(r"^Environment=(\w+)=", text, re.M):
        if product.unknown_variable(name):
            yield f"the program knows no variable {name}"
    start = re.search(r"^ExecStart=(\S+)(.*)$", text, re.M)
    if start is None:
        yield "nothing is started"
        return
    if wrong := product.unknown_command(start[2].split()):
        yield wrong
    if not is_there():
        return
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "curfew.service")
        path.write_text(text.replace(start[1], str(product.binary.resolve())), encoding="utf-8")
        verified = _analyze("verify", "--man=no", str(path))
        if verified.returncode or verified.stderr.strip():
            yield f"systemd-analyze verify: {(verified.stderr or verified.stdout).strip()}"
            return
        rated = _analyze("security", "--offline=true", "--no-pager", str(path)).stdout
        exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", rated)
        if exposure is None or float(exposure[1]) > EXPOSURE_MAX:
            yield f"systemd-analyze security: {exposure[0] if exposure else rated}"


def _analyze(*arguments):
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True)
