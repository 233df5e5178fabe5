"""The Dockerfiles: hadolint's rules, stages and sources that exist, and a build context in which cargo finds everything."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

FROM = re.compile(r"^FROM (\S+)(?: AS (\S+))?$", re.M)
COPY = re.compile(r"^COPY (?:--from=(\S+) )?(.+) \S+$", re.M)
HEALTH = re.compile(r'^HEALTHCHECK .*CMD (\[.*\])$', re.M)

# Files that a crate compiles in from outside of its own folder.
COMPILED_IN = re.compile(r'include_(?:str|bytes)!\(\s*"((?:\.\./)+[^"]+)"')


def lint(path, text=None):
    """What hadolint says; `text` instead of what is in the file."""
    hadolint = pathlib.Path(sys.executable).parent / "hadolint"
    result = subprocess.run(
        [hadolint, "--no-color", "--format", "json", "-"], input=text or pathlib.Path(path).read_text(encoding="utf-8"),
        capture_output=True, text=True,
    )
    try:
        found = json.loads(result.stdout)
    except ValueError as error:
        raise RuntimeError(f"hadolint: {result.stderr}") from error
    return [f"{path}:{item['line']}: {item['code']} {item['message']}" for item in found]


def stages(path, text, context):
    """Stages and sources that are not there, and what production must not be."""
    known = set()
    for base, name in FROM.findall(text):
        if not base.startswith("${") and base not in known and "@sha256:" not in base and "/" not in base:
            yield f"{path}: there is no stage {base}"
        known.add(name)
    for stage, sources in COPY.findall(text):
        if stage and stage not in known:
            yield f"{path}: there is no stage {stage}"
        for source in [] if stage else sources.split():
            if not (pathlib.Path(context) / source).exists():
                yield f"{path}: there is nothing named {source} to copy"
    for user in re.findall(r"^USER (\S+)$", text, re.M):
        if not re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", user):
            yield f"{path}: the user {user} is no number, or root"


def health_commands(text):
    """The arguments after the program's name of each health check."""
    return [json.loads(command)[1:] for command in HEALTH.findall(text)]


def context(root, folder, ignored=None):
    """Copies into `folder` what .dockerignore lets through: `*`, then names that are let in again."""
    root = pathlib.Path(root)
    lines = ignored or (root / ".dockerignore").read_text(encoding="utf-8")
    patterns = [line for line in lines.splitlines() if line and not line.startswith("#")]
    if patterns[0] != "*" or not all(pattern.startswith("!") for pattern in patterns[1:]):
        raise ValueError(".dockerignore is no list of what is let in")
    for name in (pattern.removeprefix("!") for pattern in patterns[1:]):
        source, target = root / name, pathlib.Path(folder) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("target", "node_modules"))
        else:
            shutil.copy2(source, target)


def missing_from_context(root, ignored=None):
    """What the build reads and the context has not."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            context(root, folder, ignored)
        except FileNotFoundError as error:
            yield f".dockerignore lets in {error.filename}, which does not exist"
            return
        metadata = subprocess.run(
            ["cargo", "metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"],
            cwd=folder, capture_output=True, text=True,
        )
        if metadata.returncode:
            yield f"cargo metadata in the build context: {metadata.stderr.strip()}"
            return
        for source in pathlib.Path(folder, "crates").glob("*/src/**/*.rs"):
            if "tests" in source.parts or source.name == "tests.rs":
                continue
            for name in COMPILED_IN.findall(source.read_text(encoding="utf-8")):
                if not (source.parent / name).resolve().is_file():
                    yield f"{source.relative_to(folder)} compiles in {name}, which .dockerignore keeps out"
