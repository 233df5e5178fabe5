"""Pages: their headings, links, code, and the commands in it."""

import dataclasses
import pathlib
import re
import shlex

FENCE = re.compile(r"^(?P<indent> *)(```+)(?P<language>\w*)\n(?P<body>.*?)^(?P=indent)\2 *$", re.M | re.S)
# A paragraph that is indented by four more than the text before it; within a list item that is more.
INDENTED = re.compile(r"(?:^|\n)[ \t]*\n((?:(?: {4,}\S.*|[ \t]*)\n)+)")
SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.S)
LINK = re.compile(r"\]\(([^()\s]+(?:\([^()\s]*\))?[^()\s]*)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.M)
HEREDOC = re.compile(r"<<-?'?(\w+)'?.*?^\s*\1$", re.M | re.S)
ASSIGNMENT = re.compile(r"^[A-Za-z_]\w*=")

# Words of the shell before a command.
BEFORE = {"do", "then", "else", "if", "while", "!", "{", "sudo", "exec", "time", "export"}
SHELLS = {"sh", "bash", "shell"}

# What stands for something else: `curfew <id>` is a title, and no command.
PLACEHOLDER = re.compile(r"^\S+ <")


@dataclasses.dataclass
class Page:
    """A page: where it is, relative to the root, and its text."""

    path: pathlib.PurePosixPath
    text: str

    def __post_init__(self):
        self.blocks = [(match["language"], match["body"]) for match in FENCE.finditer(self.text)]
        prose = FENCE.sub("", self.text)
        self.blocks += [("sh", match[1]) for match in INDENTED.finditer(prose) if not re.search(r"^ *(?:[-*]|\d+\.) ", match[1], re.M)]
        self.prose = INDENTED.sub(lambda match: match[0] if re.search(r"^ *(?:[-*]|\d+\.) ", match[1], re.M) else "\n", prose)
        self.spans = [match[2].replace("\\|", "|").replace("\n", " ") for match in SPAN.finditer(self.prose)]

    def anchors(self):
        """What a link to this page may end in, as GitHub makes it of the headings."""
        seen = {}
        for heading in HEADING.findall(FENCE.sub("", self.text)):
            plain = LINK.sub("]", heading).replace("`", "")
            slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
            count = seen[slug] = seen.get(slug, -1) + 1
            yield f"{slug}-{count}" if count else slug

    def links(self):
        """The targets of all links."""
        return LINK.findall(SPAN.sub("", self.prose))

    def code(self):
        """Every text that is set as code."""
        return [*self.spans, *(body for _, body in self.blocks)]

    def commands(self):
        """The simple commands in blocks of shell, in lines after a prompt, and those that stand in the text; each with whether it
        is whole, which in the text it need not be."""
        for language, body in self.blocks:
            lines = body if language in SHELLS else "\n".join(line.strip().removeprefix("$ ") for line in _joined(body) if line.strip().startswith("$ "))
            yield from ((command, True) for command in _simple(lines))
        for span in self.spans:
            if PLACEHOLDER.match(span):
                continue
            yield from ((command, False) for command in _simple(span))


def _joined(text):
    return re.sub(r"\\\n\s*", " ", text).splitlines()


def _simple(text):
    """The simple commands of a script, as lists of words; what is no shell is none."""
    text = HEREDOC.sub("", text)
    for line in _joined(text):
        line = line.strip().removeprefix("$ ")
        substitutions = re.findall(r"\$\(([^()]*(?:\([^()]*\)[^()]*)*)\)", line)
        for part in [re.sub(r"\$\((?:[^()]*(?:\([^()]*\)[^()]*)*)\)", "$substituted", line), *substitutions]:
            yield from _split(part)


def _split(line):
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";|&()<>")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    try:
        words = list(lexer)
    except ValueError:
        return
    command = []
    for word in [*words, ";"]:
        if word and set(word) <= set(";|&()"):
            if command := _stripped(command):
                yield command
            command = []
        else:
            command.append(word)


def _stripped(words):
    """Without what stands before a command, and without redirections."""
    while words and (words[0] in BEFORE or ASSIGNMENT.match(words[0])):
        words = words[1:]
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in ("<", ">", ">>"):
            skip = True
        else:
            kept.append(word)
    return kept
