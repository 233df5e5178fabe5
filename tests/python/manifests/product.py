"""What the built program says of itself: its commands, its settings, and what it thinks of a configuration."""

import base64
import datetime
import os
import pathlib
import re
import subprocess
import tempfile

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

# Variables that are no settings.
OTHER_VARIABLES = {"CURFEW_CONFIG", "CURFEW_LOG"}

BUILD_FIRST = "build it with `cargo build -p curfew-server`"


class Product:
    """The program at `binary`."""

    def __init__(self, binary):
        self.binary = pathlib.Path(binary)
        if not self.binary.is_file():
            raise FileNotFoundError(f"{binary} is missing; {BUILD_FIRST}")
        self.reference = yaml.safe_load(self._run("config", "reference").stdout)
        self.commands = set(re.findall(r"^  ([a-z-]+) ", self._run("--help").stdout, re.M))
        if not self.commands >= {"intake", "controller", "all"}:
            raise ValueError(f"--help names {sorted(self.commands)}")

    @classmethod
    def built(cls, root):
        folder = os.environ.get("CURFEW_TEST_BINARIES", pathlib.Path(root) / "target/debug")
        return cls(pathlib.Path(folder) / "curfew")

    def unknown_command(self, arguments):
        """What is wrong with a container's arguments, or None."""
        command = next((argument for argument in arguments if not argument.startswith("-")), None)
        return None if command in self.commands else f"{command!r} is no command of curfew"

    def unknown_variable(self, name):
        """Whether a variable is neither a setting nor one of the others."""
        if name in OTHER_VARIABLES:
            return False
        at = self.reference
        for segment in name.removeprefix("CURFEW_").split("__"):
            names = {key.upper(): key for key in at} if isinstance(at, dict) else {}
            if segment not in names:
                return True
            at = at[names[segment]]
        return not name.startswith("CURFEW_")

    def unknown_settings(self, settings, reference=None, path=()):
        """The settings that the reference does not have, dotted."""
        reference = self.reference if reference is None else reference
        if isinstance(settings, dict) and isinstance(reference, dict):
            for key, below in settings.items():
                here = (*path, key)
                if key in reference:
                    yield from self.unknown_settings(below, reference[key], here)
                else:
                    yield ".".join(here)
        elif isinstance(settings, list) and isinstance(reference, list) and reference:
            for item in settings:
                yield from self.unknown_settings(item, reference[0], path)

    def objection(self, text, mode, environment=None):
        """What `config check MODE` has against a configuration, with fresh keys where it names some; None if nothing."""
        settings = yaml.safe_load(text)
        with tempfile.TemporaryDirectory() as folder:
            self._put_keys(settings, pathlib.Path(folder))
            path = pathlib.Path(folder, "curfew.yaml")
            path.write_text(yaml.safe_dump(settings), encoding="utf-8")
            checked = self._run("--config", str(path), "config", "check", mode, environment=environment or {}, check=False)
        return None if checked.returncode == 0 else checked.stderr.strip()

    @staticmethod
    def _put_keys(settings, folder):
        """Lets every key setting that names a file name one that is there, and puts a wrapped key where one is to be put."""
        key = ec.generate_private_key(ec.SECP256R1())
        wrapped, facts_key = base64.b64encode(os.urandom(113)), settings.get("factsKey", {})
        if "wrapped" in facts_key:
            facts_key["wrapped"] = wrapped.decode()
        secrets = {
            "signing": _private(key),
            "factsKey": wrapped if "kms" in facts_key else base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"="),
        }
        for section, contents in secrets.items():
            if "file" in settings.get(section, {}):
                settings[section]["file"] = f"./{section}.key"
                file = folder / f"{section}.key"
                file.touch(mode=0o600)
                file.write_bytes(contents)
        for entry in settings.get("keys", []):
            entry["publicKey"] = "./key.pub"
            entry["from"], entry["until"] = _text(entry["from"]), _text(entry["until"])
        (folder / "key.pub").write_bytes(_public(key))

    def _run(self, *arguments, environment=None, check=True):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("CURFEW_")}
        return subprocess.run(
            [self.binary, *arguments], env={**clean, **(environment or {})}, check=check, capture_output=True, text=True
        )


def _text(date):
    return date.isoformat() if isinstance(date, datetime.date) else date


def _public(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _private(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
