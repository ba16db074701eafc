"""The website: a Jupyter server extension whose pages are rendered on the server. It has no kernels, files or terminals."""


def _jupyter_server_extension_points() -> list[dict[str, object]]:
    from brainscore_ops.portal.app import Portal

    return [{"module": "brainscore_ops.portal", "app": Portal}]
