"""Reads a provider's schema out of the bindings that cdktf generated from it.

The JavaScript tells for each argument its name, type and whether it is a block; the declarations beside it tell what is
required and quote the provider's documentation, with the values that an argument may have.

What the bindings do not tell: whether an optional argument is also computed (here: `id` and where the resource is), and
checks that are code in the provider, such as "exactly one of".
"""

import dataclasses
import re

# Optional arguments that the provider fills in when they are absent.
COMPUTED_TOO = {"id", "project", "region", "zone", "location", "self_link"}

SIMPLE = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}

GETTERS = {
    "getStringAttribute": "string",
    "getNumberAttribute": "number",
    "getBooleanAttribute": "bool",
    "getListAttribute": ["list", "string"],
    "getNumberListAttribute": ["list", "number"],
    "getStringMapAttribute": ["map", "string"],
    "getBooleanMapAttribute": ["map", "bool"],
    "getNumberMapAttribute": ["map", "number"],
}

MAPS = {"StringMap": "string", "BooleanMap": "bool", "NumberMap": "number", "AnyMap": "dynamic"}

ENTRY = re.compile(
    r'(\w+): \{\s*value: (.*?),\s*isBlock: (true|false),\s*type: "(\w+)",\s*storageClassType: "(\w+)",\s*\}', re.S
)
STRUCT = re.compile(r"function (\w+?)ToHclTerraform\(struct\) \{.*?const attrs = \{(.*?)\};\n", re.S)
TOP = re.compile(r"synthesizeHclAttributes\(\) \{\s*const attrs = \{(.*?)\n {8}\};", re.S)
INTERFACE = re.compile(r"export interface (\w+)(?: extends [^{]*)? \{(.*?)\n\}", re.S)
MEMBER = re.compile(r"(?:/\*\*(.*?)\*/\s*)?readonly (\w+)(\??): [^;]+;", re.S)
CLASS = re.compile(r"^class (\w+) extends cdktf\.(\w+) \{(.*?)^\}", re.S | re.M)
GETTER = re.compile(r"^    get (\w+)\(\) \{\s*return (.*?);\s*\}", re.S | re.M)
SETTER = re.compile(r"^    (?:set|put|reset)(\w+)\(|^    set (\w+)\(", re.M)
INNER = re.compile(r'this\._(\w+) = new (cdktf\.)?(\w+)\(this, "(\w+)"(?:, (true|false))?\)')
ENUM = re.compile(r"Possible values(?: are)?:\s*(\[[^\]]*\])")


class UnreadableBinding(Exception):
    """The bindings have a shape that this reader does not know."""


@dataclasses.dataclass
class Attribute:
    """An argument or a computed value. `type` is Terraform's own JSON form of a type; `values` what it may be, if told."""

    name: str
    type: object
    required: bool = False
    optional: bool = False
    computed: bool = False
    values: tuple = ()


@dataclasses.dataclass
class Nested:
    """A nested block; `mode` is list or set, `maximum` 0 for no limit."""

    name: str
    block: "Block"
    mode: str
    minimum: int
    maximum: int


@dataclasses.dataclass
class Block:
    """What may stand in a block."""

    attributes: dict
    blocks: dict


def folder(provider, kind, type_name):
    """Where a provider's bindings of a type are: `kind` is `resource` or `data`."""
    name = type_name.removeprefix("google_").replace("_", "-")
    if kind == "data":
        return f"data-google-{name}"
    return name if provider == "google" else f"google-{name}"


def read(texts, type_name):
    """The schema of one resource or data source from its two files."""
    return _Reader(texts["index.js"], texts["index.d.ts"]).top(type_name)


class _Reader:
    def __init__(self, script, declarations):
        self.script = script
        self.structs = dict(STRUCT.findall(script))
        self.interfaces = {name: _members(body) for name, body in INTERFACE.findall(declarations)}
        self.classes = {name: (base, body) for name, base, body in CLASS.findall(script)}

    def top(self, type_name):
        if f"'{type_name}'" not in self.script:
            raise UnreadableBinding(f"these are not the bindings of {type_name}")
        names = [name for name, (base, _) in self.classes.items() if base in ("TerraformResource", "TerraformDataSource", "TerraformProvider")]
        entries = TOP.findall(self.script)
        if len(names) != 1 or len(entries) > 1:
            raise UnreadableBinding(f"{type_name}: no single class, or no single list of arguments")
        return self.block(names[0] + "Config", names[0], entries[0] if entries else "")

    def block(self, interface, class_name, entries):
        members = self.interfaces.get(interface, {})
        block = Block({}, {})
        found = ENTRY.findall(entries)
        if len(found) != entries.count("isBlock:"):
            raise UnreadableBinding(f"{interface}: an argument of unknown shape")
        for name, value, is_block, kind, storage in found:
            documentation, is_required = members.get(_camel(name), ("", False))
            self._argument(block, name, value, is_block == "true", kind, storage, documentation, is_required)
        for name, type_ in self._computed(class_name).items():
            block.attributes.setdefault(name, Attribute(name, type_, computed=True))
        return block

    def _argument(self, block, name, value, is_block, kind, storage, documentation, is_required):
        struct = re.search(r"(\w+)ToHclTerraform(?:, (true|false))?\)?\(", value)
        mapped = re.search(r"MapperHcl\((\w+?)ToHclTerraform, (true|false)\)", value)
        if is_block and (mapped or (struct and struct[1] in self.structs)):
            stem = (mapped or struct)[1]
            interface = stem[0].upper() + stem[1:]
            inner = self.block(interface, interface + "OutputReference", self.structs[stem])
            if mapped and mapped[2] == "false":
                type_ = [kind if kind in ("list", "set") else "list", _object(inner)]
                block.attributes[name] = Attribute(name, type_, is_required, not is_required, not is_required)
                return
            single = not mapped
            mode = "single" if kind == "struct" else kind
            if mode not in ("single", "list", "set"):
                raise UnreadableBinding(f"{name}: a block of kind {kind}")
            block.blocks[name] = Nested(name, inner, mode, int(is_required), int(single))
            return
        computed = not is_required and name in COMPUTED_TOO
        values = tuple(re.findall(r'"([^"]*)"', match[1])) if (match := ENUM.search(documentation)) else ()
        block.attributes[name] = Attribute(name, _type(name, kind, storage), is_required, not is_required, computed, values)

    def _computed(self, class_name):
        """What can only be read, with its types."""
        if class_name not in self.classes:
            return {}
        _, body = self.classes[class_name]
        settable = {name[0].lower() + name[1:] for pair in SETTER.findall(body) for name in pair if name}
        inner = {field: (bool(plain), type_, name, is_set == "true") for field, plain, type_, name, is_set in INNER.findall(body)}
        found = {}
        for getter, value in GETTER.findall(body):
            if getter in settable or getter.endswith("Input") or getter == "internalValue":
                continue
            if simple := re.search(r"this\.(get\w+Attribute)\(['\"](\w+)['\"]\)", value):
                type_ = GETTERS.get(simple[1])
                if type_ is None:
                    raise UnreadableBinding(f"{class_name}.{getter}: {simple[1]}")
                found[simple[2]] = ["set", type_[1]] if "Fn.tolist" in value and isinstance(type_, list) else type_
            elif (field := value.removeprefix("this._")) in inner:
                plain, type_, name, is_set = inner[field]
                found[name] = self._inner_type(type_, plain, is_set)
        return found

    def _inner_type(self, type_, is_plain, is_set):
        if is_plain:
            if type_ not in MAPS:
                raise UnreadableBinding(f"a computed {type_}")
            return ["map", MAPS[type_]]
        stem = type_.removesuffix("List").removesuffix("OutputReference")
        object_ = ["object", self._computed(stem + "OutputReference")]
        return [("set" if is_set else "list"), object_] if type_.endswith("List") else object_


def _members(body):
    return {name: (" ".join(documentation.split()), mark != "?") for documentation, name, mark in MEMBER.findall(body)}


def _camel(name):
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def _type(name, kind, storage):
    if kind == "simple" and storage in SIMPLE:
        return SIMPLE[storage]
    inner = re.fullmatch(r"(string|number|boolean|any)(List|Map)", storage)
    if inner and kind in ("list", "set", "map"):
        return [kind, SIMPLE[inner[1]]]
    raise UnreadableBinding(f"{name}: {kind} of {storage}")


def _object(block):
    fields = {name: attribute.type for name, attribute in block.attributes.items()}
    fields.update({name: ["list", _object(nested.block)] for name, nested in block.blocks.items()})
    return ["object", fields]
