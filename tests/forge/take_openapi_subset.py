"""Take what the tests need out of GitHub's REST API description: ``python take_openapi_subset.py api.github.com.json``.

The description comes with the npm package ``@octokit/openapi`` (``generated/api.github.com.json``), whose licence is beside the
subset.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

SUBSET = Path(__file__).with_name("github_openapi_subset.json")

MORE_OPERATIONS = {
    "/app": ("get",),
    "/app/installations/{installation_id}": ("get",),
    "/app/installations/{installation_id}/access_tokens": ("post",),
    "/repos/{owner}/{repo}/installation": ("get",),
    "/repos/{owner}/{repo}/branches/{branch}/protection": ("get", "put", "delete"),
    "/repos/{owner}/{repo}/collaborators/{username}": ("put",),
    "/repos/{owner}/{repo}/collaborators/{username}/permission": ("get",),
    "/repos/{owner}/{repo}/dispatches": ("post",),
    "/repos/{owner}/{repo}/hooks": ("get", "post"),
    "/repos/{owner}/{repo}/hooks/{hook_id}": ("get", "patch", "delete"),
    "/repos/{owner}/{repo}/hooks/{hook_id}/pings": ("post",),
    "/repos/{owner}/{repo}/hooks/{hook_id}/deliveries": ("get",),
    "/repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}": ("get",),
    "/repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}/attempts": ("post",),
    "/repos/{owner}/{repo}/pulls/{pull_number}/reviews": ("get", "post"),
    "/repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}": ("get",),
    "/repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}/dismissals": ("put",),
    "/repos/{owner}/{repo}/pulls/{pull_number}/update-branch": ("put",),
}
"""What is added to the operations that the subset holds already."""

WEBHOOKS = (
    *("ping", "push", "status", "pull-request-opened", "pull-request-closed", "pull-request-synchronize"),
    *("pull-request-labeled", "pull-request-review-submitted"),
)
"""The payloads of deliveries that are taken."""


def main(source: Path) -> None:
    """Write the subset anew."""
    full, kept = json.loads(source.read_text()), json.loads(SUBSET.read_text())
    wanted = {path: set(methods) for path, methods in kept["operations"].items()}
    for path, methods in MORE_OPERATIONS.items():
        wanted.setdefault(path, set()).update(methods)
    kept["operations"] = {
        path: {method: _responses(full, full["paths"][path][method]) for method in sorted(methods)}
        for path, methods in wanted.items()
    }
    kept["webhooks"] = {
        name: _bare(full["x-webhooks"][name]["post"]["requestBody"]["content"]["application/json"]["schema"])
        for name in WEBHOOKS
    }
    named: set[str] = set()
    _collect(full, [kept["operations"], kept["webhooks"]], named)
    kept["components"] = {"schemas": {name: _bare(full["components"]["schemas"][name]) for name in sorted(named)}}
    SUBSET.write_text(json.dumps(kept, separators=(",", ":"), sort_keys=False) + "\n")


def _responses(full: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for status, response in operation["responses"].items():
        target = full["components"]["responses"][response["$ref"].split("/")[-1]] if "$ref" in response else response
        content = target.get("content", {}).get("application/json")
        found[status] = {"schema": _bare(content["schema"])} if content else {}
    return found


def _collect(full: dict[str, Any], node: Any, named: set[str]) -> None:
    """The schemas that are referred to, directly or by others."""
    for name in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(node)):
        if name not in named:
            named.add(name)
            _collect(full, full["components"]["schemas"][name], named)


def _bare(node: Any) -> Any:
    """A schema without texts and examples, which may hold anything."""
    if isinstance(node, list):
        return [_bare(item) for item in node]
    if not isinstance(node, dict):
        return node
    dropped = {"description", "example", "examples", "title", "externalDocs", "x-multi-segment"}
    # Within "properties" every key is a property's name, also one that is named like a text.
    return {
        key: {name: _bare(value) for name, value in inner.items()} if key == "properties" else _bare(inner)
        for key, inner in node.items()
        if key not in dropped
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
