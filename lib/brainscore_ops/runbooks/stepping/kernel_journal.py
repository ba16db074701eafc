"""Run by the kernel of a session when it starts: it says in a file which cell each request to execute comes from, which the
kernel's own messages do not, and works in the folder that a run's kernel would.

It is run as a file, and imports nothing of this library but the error cards: the kernel may have the code of another version.
"""

# ruff: noqa: F821


def _keep_journal(shell):  # type: ignore[no-untyped-def]
    import json
    import os

    path = os.environ["BRAINSCORE_OPS_JOURNAL"]
    os.chdir(os.environ["BRAINSCORE_OPS_FOLDER"])

    def note(_info):  # type: ignore[no-untyped-def]
        parent = shell.kernel.get_parent("shell")
        line = {"request": parent["header"]["msg_id"], "cell": parent.get("metadata", {}).get("cellId")}
        with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123
            file.write(json.dumps(line) + "\n")

    shell.events.register("pre_run_cell", note)


_keep_journal(get_ipython())  # type: ignore[name-defined, no-untyped-call]
del _keep_journal
