"""Which of Google's methods `gcp` calls: its own names for its calls, and the methods that each stands for."""

import pathlib
import re

SOURCES = pathlib.Path(__file__).resolve().parents[3] / "crates" / "gcp" / "src"

# A call's name in the sources: service and what is called, as metrics carry it.
NAME = re.compile(r'"((?:resourcemanager|cloudasset|cloudidentity|iam|directory|cloudkms)\.(?:[a-z][A-Za-z]*\.)*[a-z]+[A-Za-z]*)"')

NODES = ("projects", "folders", "organizations")

METHODS = {
    "resourcemanager.getIamPolicy": [f"cloudresourcemanager.v3 {nodes}.getIamPolicy" for nodes in NODES],
    "resourcemanager.setIamPolicy": [f"cloudresourcemanager.v3 {nodes}.setIamPolicy" for nodes in NODES],
    "resourcemanager.testIamPermissions": [f"cloudresourcemanager.v3 {nodes}.testIamPermissions" for nodes in NODES],
    "resourcemanager.projects.get": ["cloudresourcemanager.v3 projects.get"],
    "resourcemanager.folders.get": ["cloudresourcemanager.v3 folders.get"],
    "resourcemanager.projects.search": ["cloudresourcemanager.v3 projects.search"],
    "cloudasset.searchAllResources": ["cloudasset.v1 searchAllResources"],
    "cloudasset.searchAllIamPolicies": ["cloudasset.v1 searchAllIamPolicies"],
    "cloudasset.analyzeIamPolicy": ["cloudasset.v1 analyzeIamPolicy"],
    "cloudidentity.groups.lookup": ["cloudidentity.v1 groups.lookup"],
    "cloudidentity.checkTransitiveMembership": ["cloudidentity.v1 groups.memberships.checkTransitiveMembership"],
    "cloudidentity.searchTransitiveGroups": ["cloudidentity.v1 groups.memberships.searchTransitiveGroups"],
    "cloudidentity.searchTransitiveMemberships": ["cloudidentity.v1 groups.memberships.searchTransitiveMemberships"],
    "directory.members.list": ["admin.directory_v1 members.list"],
    "directory.groups.list": ["admin.directory_v1 groups.list"],
    "cloudkms.asymmetricSign": ["cloudkms.v1 projects.locations.keyRings.cryptoKeys.cryptoKeyVersions.asymmetricSign"],
    "cloudkms.decrypt": ["cloudkms.v1 projects.locations.keyRings.cryptoKeys.decrypt"],
    "cloudkms.encrypt": ["cloudkms.v1 projects.locations.keyRings.cryptoKeys.encrypt"],
    "cloudkms.getPublicKey": ["cloudkms.v1 projects.locations.keyRings.cryptoKeys.cryptoKeyVersions.getPublicKey"],
    "cloudkms.macSign": ["cloudkms.v1 projects.locations.keyRings.cryptoKeys.cryptoKeyVersions.macSign"],
    "iam.serviceAccounts.getIamPolicy": ["iam.v1 projects.serviceAccounts.getIamPolicy"],
    "iam.serviceAccounts.keys.list": ["iam.v1 projects.serviceAccounts.keys.list"],
    "iam.roles.get": ["iam.v1 roles.get", "iam.v1 organizations.roles.get", "iam.v1 projects.roles.get"],
}


def names(sources=SOURCES):
    """The names of all calls in the sources."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(sources.glob("**/*.rs")) if "tests" not in path.parts)
    return {name for text in texts for name in NAME.findall(text) if not name.endswith(".com")}


def missing(counts, found):
    """What keeps the verdict on our own requests from being one on all of them."""
    yield from (f"{name} is called by gcp: name its methods in own_calls.py" for name in sorted(found - METHODS.keys()))
    yield from (f"{name} is not called by gcp: take it out of own_calls.py" for name in sorted(METHODS.keys() - found))
    for name in sorted(found & METHODS.keys()):
        for method in METHODS[name]:
            if method not in counts or not counts[method].own_requests:
                yield f"{method} ({name} of gcp) was never seen"
    listed = {method for methods in METHODS.values() for method in methods}
    for method, count in sorted(counts.items()):
        if count.own_requests and method not in listed:
            yield f"{method} is called by gcp: name it in own_calls.py"
