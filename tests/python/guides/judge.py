"""Whether what a page says is there is there."""

import glob
import itertools
import pathlib
import posixpath
import re

import yaml

PATH = re.compile(r"^(?:crates|deploy|docs|fuzz|proto|terraform|tests)/[\w./*{},-]+$")
SETTING = re.compile(r"^[a-z]\w*(?:\.[a-z]\w*)+$")
VARIABLE = re.compile(r"\bCURFEW_[A-Z]\w*__[A-Z]\w*\b")
MODULE = re.compile(r"(?<![\w.-])module\.(\w+)(?:\.(\w+))?")
TERRAFORM_VARIABLE = re.compile(r"(?<![\w.])var\.(\w+)")
BLOCK_NAME = re.compile(r'^(?P<kind>variable|output|module) "(\w+)"', re.M)
REASON_ROW = re.compile(r"^\| ((?:`[A-Z_]+`(?:, )?)+)", re.M)

# Names of files, which look like settings.
FILES = (".yaml", ".md", ".key", ".sh", ".json", ".rs", ".proto")

# Pages whose own names have the form of settings: of checks, of labels.
OTHER_NAMES = {"docs/doctor.md", "docs/metrics.md"}

# Files that a reader makes.
MADE = (".pub", ".key")

EXAMPLE = "terraform/examples/complete"


class Judge:
    """`programs` is what each program's command lines are judged by; None where it is not installed."""

    def __init__(self, root, pages, product, programs):
        self.root, self.product, self.programs = pathlib.Path(root), product, programs
        self.pages = {str(page.path): page for page in pages}
        self.example = self._named(EXAMPLE)
        self.modules = {folder.name: self._named(f"terraform/modules/{folder.name}") for folder in (self.root / "terraform/modules").iterdir() if folder.is_dir()}
        self.reasons = set(re.findall(r"^\| `([A-Z_]+)` \|", (self.root / "crates/intake/ERRORS.md").read_text(encoding="utf-8"), re.M))

    def problems(self, page):
        """All of one page."""
        checks = (self._links, self._commands, self._settings, self._variables, self._paths, self._terraform, self._reasons)
        for problem in itertools.chain.from_iterable(check(page) for check in checks):
            yield f"{page.path}: {problem}"

    def _links(self, page):
        for target in page.links():
            if re.match(r"[a-z][a-z+.-]*:", target):
                continue
            path, _, anchor = target.partition("#")
            aim = posixpath.normpath(posixpath.join(page.path.parent, path))
            aimed = self.pages.get(aim) if path else page
            if path and not (self.root / aim).exists():
                yield f"the link {target} leads nowhere"
            elif anchor and (aimed is None or anchor not in set(aimed.anchors())):
                yield f"the link {target} leads to no heading"

    def _commands(self, page):
        for words, whole in page.commands():
            name = words[0].rsplit("/", 1)[-1]
            arguments = words[1:]
            if name == "cargo" and arguments[:1] == ["xtask"]:
                name, arguments = "cargo xtask", arguments[1:]
            elif name == "kubectl" and "--" in arguments:
                name, arguments = "curfew", arguments[arguments.index("--") + 2 :]
            program = self.programs.get(name)
            # In the text the name alone may stand for the program.
            if program and (arguments or whole) and (why := program.objection(arguments, whole)):
                yield f"`{' '.join(words)}`: {why}"

    def _settings(self, page):
        for language, body in page.blocks:
            if language != "yaml":
                continue
            settings = yaml.safe_load(body)
            if isinstance(settings, dict) and "kind" not in settings and set(settings) & set(self.product.reference):
                yield from (f"there is no setting {setting}" for setting in self.product.unknown_settings(settings))
        for span in [] if str(page.path) in OTHER_NAMES else page.spans:
            first, _, _ = span.partition(".")
            if SETTING.match(span) and isinstance(self.product.reference.get(first), dict) and not span.endswith(FILES):
                nested = {}
                at = nested
                for segment in span.split(".")[:-1]:
                    at[segment] = at = {}
                at[span.rsplit(".", 1)[1]] = None
                yield from (f"there is no setting {setting}" for setting in self.product.unknown_settings(nested))

    def _variables(self, page):
        for text in page.code():
            for variable in VARIABLE.findall(text):
                if self.product.unknown_variable(variable) and "SECTION" not in variable:
                    yield f"there is no variable {variable}"

    def _paths(self, page):
        words = [word for span in page.spans for word in span.split()]
        words += [word for command, _ in page.commands() for word in command]
        for word in sorted(set(words)):
            if PATH.match(word) and not word.endswith(MADE) and not any(glob.glob(str(self.root / path)) or glob.glob(str(self.root / page.path.parent / path)) for path in _expanded(word)):
                yield f"{word} does not exist"

    def _terraform(self, page):
        for text in page.code():
            for name, output in MODULE.findall(text):
                if name not in self.example["module"]:
                    yield f"{EXAMPLE} has no module.{name}"
                elif output and output not in self.modules[name]["output"]:
                    yield f"module.{name} has no output {output}"
            for name in TERRAFORM_VARIABLE.findall(text):
                if not any(name in names["variable"] for names in (self.example, *self.modules.values())):
                    yield f"no module has a variable {name}"
        for words, _ in page.commands():
            if words[:2] == ["terraform", "output"]:
                for name in words[2:]:
                    if not name.startswith("-") and name not in self.example["output"]:
                        yield f"{EXAMPLE} has no output {name}"
        for language, body in page.blocks:
            if language == "hcl":
                for name in re.findall(r"^ *(\w+) += ", body, re.M):
                    if name not in self.example["variable"]:
                        yield f"{EXAMPLE} has no variable {name}"

    def _reasons(self, page):
        for row in REASON_ROW.findall(page.text):
            names = re.findall(r"`([A-Z_]+)`", row)
            if set(names) & self.reasons:
                yield from (f"there is no reason {name}" for name in names if name not in self.reasons)

    def _named(self, folder):
        found = {"variable": set(), "output": set(), "module": set()}
        for path in (self.root / folder).glob("*.tf"):
            for kind, name in BLOCK_NAME.findall(path.read_text(encoding="utf-8")):
                found[kind].add(name)
        return found


def _expanded(path):
    """A path for each choice between braces."""
    match = re.search(r"\{([^{}]*)\}", path)
    if not match:
        return [path]
    return [full for choice in match[1].split(",") for full in _expanded(path[: match.start()] + choice + path[match.end() :])]
