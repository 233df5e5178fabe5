"""What Terraform itself does not mind: unused names, missing descriptions, unchecked variables, stale READMEs."""

import pathlib
import re

import hcl2

from . import packages

# The parts of a README that list names, and the blocks that have those names.
TABLES = {"Variables": "variable", "Outputs": "output"}

FIRST_CELL = re.compile(r"^\| `([a-z0-9_]+)` \|", re.M)


class Folder:
    """One module or example, parsed."""

    def __init__(self, path, root):
        self.path, self.name = pathlib.Path(path), str(pathlib.Path(path).relative_to(root))
        self.texts = {file.name: file.read_text(encoding="utf-8") for file in sorted(self.path.glob("*.tf"))}
        self.tests = "".join(file.read_text(encoding="utf-8") for file in sorted(self.path.glob("tests/*.tftest.hcl")))
        self.blocks = {}
        for text in self.texts.values():
            for kind, found in hcl2.loads(text).items():
                if isinstance(found, list) and kind != "__comments__":
                    self.blocks.setdefault(kind, []).extend(found)

    def named(self, kind):
        """The blocks of a kind by their one label."""
        pairs = [(name.strip('"'), body) for block in self.blocks.get(kind, []) for name, body in block.items() if not name.startswith("__")]
        return dict(pairs)

    def locals(self):
        return {name for block in self.blocks.get("locals", []) for name in block if not name.startswith("__")}

    def is_used(self, reference, but_not_in=""):
        """Whether `var.x`, `local.x`, `module.x` or `data.t.x` stands anywhere but in the text `but_not_in`."""
        everything = "".join(self.texts.values()).replace(but_not_in, "") if but_not_in else "".join(self.texts.values())
        return re.search(rf"(?<![\w.]){re.escape(reference)}(?!\w)", everything) is not None

    def source(self, kind, name):
        """The text of a block, by counting braces; strings in this tree hold balanced ones."""
        for text in self.texts.values():
            start = text.find(f'{kind} "{name}" {{')
            if start >= 0:
                return text[start : text.index("\n}\n", start) + 3]
        raise KeyError(name)


def problems(root):
    """Every problem below `root`/terraform, as lines."""
    root = pathlib.Path(root)
    for path in sorted({file.parent for file in root.glob("terraform/**/*.tf")}):
        folder = Folder(path, root)
        for check in (_variables, _names, _outputs, _versions, _readme):
            for problem in check(folder):
                yield f"{folder.name}: {problem}"


def _variables(folder):
    is_module = "/modules/" in folder.name
    for name, variable in folder.named("variable").items():
        if not variable.get("description", "").strip('"'):
            yield f"variable {name} has no description"
        if "type" not in variable:
            yield f"variable {name} has no type"
        if not folder.is_used(f"var.{name}", but_not_in=folder.source("variable", name)):
            yield f"variable {name} is not used"
        is_passed_on = any(re.search(rf"^\s*{name}\s*=\s*var\.{name}$", text, re.M) for text in folder.texts.values())
        is_checked = "validation" in variable or variable.get("type") == "bool"
        if is_module and not is_checked and not (is_passed_on and folder.blocks.get("module")):
            yield f"variable {name} has no validation"
        if "validation" in variable and f"expect_failures = [var.{name}]" not in folder.tests:
            yield f"no test shows that variable {name} refuses something"


def _names(folder):
    for name in folder.locals():
        if not folder.is_used(f"local.{name}"):
            yield f"local {name} is not used"
    for name in folder.named("module"):
        if not folder.is_used(f"module.{name}"):
            yield f"module {name} is called and nothing of it is used"
    for block in folder.blocks.get("data", []):
        for kind, inner in block.items():
            for name in inner if isinstance(inner, dict) else []:
                reference = f"data.{kind}.{name}".replace('"', "")
                if not name.startswith("__") and not folder.is_used(reference):
                    yield f"{reference} is read and not used"


def _outputs(folder):
    for name, output in folder.named("output").items():
        if not output.get("description", "").strip('"'):
            yield f"output {name} has no description"


def _versions(folder):
    text = folder.texts.get("versions.tf", "")
    if not re.search(r'required_version = ">= [\d.]+, < [\d.]+"', text):
        yield "versions.tf does not bound Terraform's version"
    for provider in re.findall(r'source\s+= "hashicorp/([\w-]+)"', text):
        bounds = re.search(rf'source\s+= "hashicorp/{provider}"\s+version = ">= ([\d.]+), < [\d.]+"', text)
        if bounds is None:
            yield f"versions.tf does not bound the version of {provider}"
        elif bounds[1] != packages.PINNED[provider]["provider"]:
            yield f"versions.tf begins at {provider} {bounds[1]}, the schema is that of {packages.PINNED[provider]['provider']}"


def _readme(folder):
    readme = folder.path / "README.md"
    if not readme.is_file():
        yield "there is no README.md"
        return
    sections = re.split(r"^## ", readme.read_text(encoding="utf-8"), flags=re.M)
    for title, kind in TABLES.items():
        body = next((section for section in sections if section.startswith(title + "\n")), "")
        listed, there = set(FIRST_CELL.findall(body)), set(folder.named(kind))
        for name in sorted(there - listed):
            yield f"README.md does not list the {kind} {name}"
        for name in sorted(listed - there):
            yield f"README.md lists the {kind} {name}, which does not exist"
