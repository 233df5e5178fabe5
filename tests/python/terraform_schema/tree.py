"""A copy of terraform/ (with the files of deploy/ that it reads) in which Terraform may work, and what Terraform says."""

import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess

from . import packages, plugin

USED = re.compile(r'^\s*(resource|data)\s+"(google_\w+)"', re.M)

# Where modules look for what is not their own.
NEEDED = ("terraform", "deploy")

# Terraform on its own machine needs seconds; a busy one many.
TIMEOUT_S = 300


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    """Something wrong: where, and what Terraform calls it."""

    file: str
    line: int
    summary: str
    detail: str

    def __str__(self):
        return f"{self.file}:{self.line}: {self.summary}: {' '.join(self.detail.split())}"


class Tree:
    """`root` is the copy; `folders` are those with a configuration of their own, relative to it."""

    def __init__(self, source, root, environment):
        self.root = pathlib.Path(root)
        for name in NEEDED:
            ignored = shutil.ignore_patterns(".terraform", ".terraform.lock.hcl", "*.tfstate*")
            shutil.copytree(pathlib.Path(source) / name, self.root / name, ignore=ignored)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TF_")},
            # Neither this machine's settings nor its network.
            "TF_CLI_CONFIG_FILE": os.devnull,
            "CHECKPOINT_DISABLE": "1",
            "TF_IN_AUTOMATION": "1",
            **environment,
        }
        self._initialised = set()

    @property
    def folders(self):
        return sorted({path.parent.relative_to(self.root) for path in self.root.glob("terraform/**/*.tf")})

    def terraform(self, folder, *arguments):
        """Runs Terraform there: (exit status, standard output, both outputs)."""
        result = subprocess.run(
            ["terraform", *arguments], cwd=self.root / folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT_S,
        )
        return result.returncode, result.stdout, result.stdout + result.stderr

    def unformatted(self):
        """The files that `terraform fmt` would change."""
        status, names, said = self.terraform("terraform", "fmt", "-check", "-recursive", ".")
        if status not in (0, 3):
            raise RuntimeError(f"terraform fmt: {said}")
        return names.split()

    def init(self, folder):
        """Tells Terraform where the modules are, once for each folder."""
        if folder in self._initialised:
            return
        status, _, said = self.terraform(folder, "init", "-backend=false", "-no-color", "-input=false")
        if status:
            raise RuntimeError(f"terraform init in {folder}: {said}")
        self._initialised.add(folder)

    def findings(self, folder):
        """What `terraform validate` has against a configuration."""
        self.init(folder)
        _, answer, said = self.terraform(folder, "validate", "-json")
        try:
            diagnostics = json.loads(answer)["diagnostics"]
        except (ValueError, KeyError) as error:
            raise RuntimeError(f"terraform validate in {folder}: {said}") from error
        return sorted(_finding(folder, diagnostic) for diagnostic in diagnostics)

    def tests(self, folder):
        """Runs the module's own tests, with mocked providers: (how many passed, how many did not)."""
        self.init(folder)
        status, answer, said = self.terraform(folder, "test", "-json")
        events = [json.loads(line) for line in answer.splitlines() if line.startswith("{")]
        runs = [event["test_run"]["status"] for event in events if event.get("type") == "test_run" and "status" in event.get("test_run", {})]
        if not runs or (status == 0) != all(run == "pass" for run in runs):
            raise RuntimeError(f"terraform test in {folder}: {said}")
        return runs.count("pass"), len(runs) - runs.count("pass")


def used_types(source):
    """What terraform/ uses of Google's providers: pairs of kind and type name."""
    found = set()
    for path in pathlib.Path(source).glob("terraform/**/*.tf"):
        found.update(USED.findall(path.read_text(encoding="utf-8")))
    return found


def providers(source, cache):
    """Stand-ins for both providers, knowing the types that terraform/ uses; not started yet."""
    wanted = used_types(source)
    return plugin.Providers({name: plugin.schemas(wanted, packages.Package(name, cache)) for name in packages.PINNED})


def _finding(folder, diagnostic):
    where = diagnostic.get("range") or {"filename": ".", "start": {"line": 0}}
    file = os.path.normpath(os.path.join(folder, where["filename"]))
    return Finding(file, where["start"]["line"], diagnostic["summary"], diagnostic.get("detail", ""))
