"""The providers' schemas: taken from pinned npm packages, unpacked under target/ and checked against their digests."""

import base64
import hashlib
import json
import pathlib
import subprocess
import tarfile

HERE = pathlib.Path(__file__).parent

# Which package holds which provider's schema. The digest is npm's own (`npm view NAME@VERSION dist.integrity`).
PINNED = json.loads((HERE / "packages.json").read_text(encoding="utf-8"))


class Package:
    """One pinned package; its archive is downloaded once and kept in `cache`."""

    def __init__(self, provider, cache):
        self.provider = provider
        pinned = PINNED[provider]
        self.name, self.integrity = pinned["package"], pinned["integrity"]
        self.archive = pathlib.Path(cache) / (self.name.strip("@").replace("/", "-").replace("@", "-") + ".tgz")

    def fetch(self):
        """The archive, downloaded if it is not there yet. Raises if its digest is not the pinned one."""
        if not self.archive.is_file():
            self.archive.parent.mkdir(parents=True, exist_ok=True)
            packed = subprocess.run(
                ["npm", "pack", "--silent", "--pack-destination", self.archive.parent, self.name],
                check=True, capture_output=True, text=True,
            )
            (self.archive.parent / packed.stdout.split()[-1]).rename(self.archive)
        algorithm, digest = self.integrity.split("-", 1)
        found = hashlib.new(algorithm, self.archive.read_bytes()).digest()
        if base64.b64encode(found).decode() != digest:
            self.archive.unlink()
            raise ValueError(f"{self.name}: not the pinned contents; the download was removed")
        return self.archive

    def read(self, folders):
        """The texts of `index.js` and `index.d.ts` of each folder of `lib/` that the package has, by folder."""
        found = {}
        with tarfile.open(self.fetch(), "r:gz") as archive:
            for member in archive:
                parts = member.name.split("/")
                if len(parts) == 4 and parts[1] == "lib" and parts[2] in folders and parts[3] in ("index.js", "index.d.ts"):
                    text = archive.extractfile(member).read().decode("utf-8")
                    found.setdefault(parts[2], {})[parts[3]] = text
        return found
