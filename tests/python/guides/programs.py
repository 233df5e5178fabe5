"""Programs by what they say of themselves: their commands, options and values."""

import ast
import functools
import pathlib
import re
import shutil
import subprocess

OPTION = re.compile(r"^ {2,6}(?:(-\w), )?(--[\w-]+)?(?:[ =]<(\w+)>)?", re.M)
# Where it stands for words that are left out, nothing after it can be judged.
ELLIPSIS = "…"

VALUES = re.compile(r"\[possible values: ([^\]]+)\]")


class Clap:
    """A program whose `--help` clap writes."""

    def __init__(self, *program):
        self.program = program

    @functools.cache
    def help(self, *commands):
        said = subprocess.run([*self.program, *commands, "--help"], capture_output=True, text=True)
        if said.returncode:
            raise RuntimeError(f"{self.program} {' '.join(commands)} --help: {said.stderr}")
        return Help(said.stdout)

    def objection(self, words, whole):
        """What is wrong with the arguments, or None. What is not whole need not end with a command or its values."""
        path, at, values, rest, given = [], self.help(), [], list(words), set()
        while rest:
            word = rest.pop(0)
            name, _, value = word.partition("=")
            given.add(name)
            if word == "--":
                break
            if word.startswith("-") and word != "-":
                if at.takes_anything:
                    return None
                if name not in at.options:
                    return f"{' '.join([*path, word])}: there is no option {name}"
                if at.options[name] and not value:
                    if not rest and whole:
                        return f"{name} needs a value"
                    rest = rest[1:]
            elif at.commands:
                if ELLIPSIS in word:
                    return None
                if word not in at.commands:
                    return f"there is no command {' '.join([*path, word])}"
                path.append(word)
                at = self.help(*path)
            else:
                values.append(word)
        if not whole:
            return None
        if missing := at.needed - given:
            return f"{' '.join(path)} needs {', '.join(sorted(missing))}"
        return f"{' '.join(path) or 'it'} needs a command" if at.commands and "--help" not in words else at.misfit(values)


class Help:
    """One page of help."""

    def __init__(self, text):
        sections = dict(re.findall(r"^(Commands|Arguments|Options):\n(.*?)(?=^\S|\Z)", text, re.M | re.S))
        self.commands = set(re.findall(r"^ {2}([a-z][\w-]*)(?= |$)", sections.get("Commands", ""), re.M))
        self.options = {}
        for short, long, value in OPTION.findall(sections.get("Options", "")):
            self.options |= {name: bool(value) for name in (short, long) if name}
        usage = re.search(r"^Usage: (.*)$", text, re.M)[1]
        usage = re.sub(r"<COMMAND>|\[OPTIONS\]|\[COMMAND\]", "", usage)
        self.needed = set(re.findall(r"(--[\w-]+) <\w+>", usage))
        usage = re.sub(r"--[\w-]+ <\w+>", "", usage)
        # A command that hands its arguments on.
        self.takes_anything = "..." in usage
        self.required = len(re.findall(r"(?<!\[)<[A-Z_]+>", usage))
        self.most = None if self.takes_anything else self.required + len(re.findall(r"\[[A-Z_]+\]", usage))
        found = VALUES.search(sections.get("Arguments", ""))
        listed = found[1] if found else ", ".join(re.findall(r"^ +- (\w+):", sections.get("Arguments", ""), re.M))
        self.values = {value.strip() for value in listed.split(",") if value.strip()}

    def misfit(self, values):
        if len(values) < self.required:
            return f"{self.required} arguments are needed, not {len(values)}"
        if self.most is not None and len(values) > self.most:
            return f"there is no argument {values[self.most]}"
        if self.values and values and "$" not in values[0] and values[0] not in self.values:
            return f"{values[0]} is none of {', '.join(sorted(self.values))}"
        return None


class Gcloud:
    """gcloud, by the table that it completes command lines from: loading each command would take seconds."""

    @classmethod
    def installed(cls):
        """None where it is not."""
        found = shutil.which("gcloud")
        table = found and pathlib.Path(found).resolve().parents[1] / "data/cli/gcloud_completions.py"
        return cls(table.read_text(encoding="utf-8")) if table and table.is_file() else None

    def __init__(self, text):
        self.root = ast.literal_eval(text[text.index("= ") + 2 :])
        if "projects" not in self.root["commands"]:
            raise ValueError("gcloud's table has no command projects: it is read wrongly")

    def objection(self, words, whole):
        """What is wrong with the arguments, or None."""
        path, at, rest = ["gcloud"], self.root, list(words)
        flags = dict(self.root["flags"])
        while rest and at["commands"] and not rest[0].startswith("-"):
            word = rest.pop(0)
            if ELLIPSIS in word:
                return None
            if word not in at["commands"]:
                return f"there is no command {' '.join([*path, word])}"
            path.append(word)
            at = at["commands"][word]
            flags |= at["flags"]
        if at["commands"] and whole:
            return f"{' '.join(path)} needs a command"
        while rest:
            name, given, value = rest.pop(0).partition("=")
            if not name.startswith("--") or ELLIPSIS in name:
                continue
            kind = flags.get(name, "bool" if flags.get(f"--{name.removeprefix('--no-')}") == "bool" else None)
            if kind is None:
                return f"{' '.join(path)} has no flag {name}"
            if kind != "bool" and not given:
                value = rest.pop(0) if rest else ""
            if isinstance(kind, list) and "$" not in value and value.lower() not in {allowed.lower() for allowed in kind}:
                return f"{' '.join(path)}: {name} takes {', '.join(kind)}, not {value!r}"
        return None
