"""What plugins and archives are refused for: every rule with its reason code, in the words that a submitter reads."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from brainscore_ops.errors import Problem
from brainscore_ops.plugins.layout import shown

_SAME_PROGRAM = "Pack the folder again with your computer's usual program, and send the new file."
_NO_WEIGHTS = "Leave out weights and data, and let the plugin download them."


@dataclass(frozen=True)
class SourceProblem:
    """Something in a source file that is wrong, or cannot be read without running it."""

    code: str
    message: str
    file: str
    """From the root of the repository."""
    line: int
    remedy: str = ""

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"

    def as_problem(self) -> Problem:
        """The same as errors carry it."""
        return Problem(self.code, self.message, self.where, self.remedy)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return str(self.as_problem())


@dataclass(frozen=True)
class Rule:
    """One thing that is refused."""

    code: str
    message: str
    """What was expected and what was found, with places for what was found."""
    remedy: str

    def problem(self, where: str = "", **found: object) -> Problem:
        """The rule, broken.

        :param where: the file or folder, as it is called by whoever sent it
        """
        place = shown(where) if where else ""
        return Problem(self.code, self.message.format(**found), place, self.remedy.format(**found))

    def source_problem(self, file: str, line: int = 1, **found: object) -> SourceProblem:
        """The rule, broken at a line of a source file."""
        return SourceProblem(self.code, self.message.format(**found), file, line, self.remedy.format(**found))


# -------------------------------------------------------------------- a plugin's source

SYNTAX_ERROR = Rule(
    "syntax-error",
    "Expected Python that can be read; found: {error}.",
    "Correct the file so that Python reads it.",
)
SOURCE_TOO_LONG = Rule(
    "source-too-long",
    "Expected a source file of at most {most} bytes; found {size}.",
    "Move what is not about registering into other files.",
)
SOURCE_TOO_COMPLEX = Rule(
    "source-too-complex",
    "Expected registrations that can be read without running the file; found more than can be followed.",
    "Register the identifiers one by one, as text.",
)
SOURCE_HIDDEN = Rule(
    "source-hidden",
    "Expected source that can be read; found {source}, which runs what nobody can read.",
    "Write the code out.",
)
IDENTIFIER_UNRESOLVED = Rule(
    "identifier-unresolved",
    "Expected an identifier that can be read without running the file; found {source}.",
    "Write the identifier as text where it is registered: model_registry['my-model'] = ...",
)
IDENTIFIER_NO_TEXT = Rule(
    "identifier-no-text",
    "Expected an identifier to be a text of visible characters; found {source}.",
    "Give it a name.",
)
IDENTIFIER_TWICE = Rule(
    "identifier-twice",
    "Expected {identifier} to be registered once in {kind}; found it at {first} as well.",
    "Rename or remove one of them.",
)
REGISTRATION_NOT_REACHED = Rule(
    "registration-not-reached",
    "Expected every registration to happen when the plugin is imported; found {source} where it cannot be told whether, "
    "and with what, it runs.",
    "Register at the top level of __init__.py, with the identifier as text.",
)
REGISTRATION_REMOVED = Rule(
    "registration-removed",
    "Expected a plugin to add to a registry, and nothing else; found {source}.",
    "Leave what is registered as it is.",
)
REGISTRY_HANDED_ON = Rule(
    "registry-handed-on",
    "Expected registries to be filled where it can be read; found one handed on in {source}.",
    "Register in __init__.py itself: model_registry['my-model'] = ...",
)
REGISTRY_OF_ANOTHER_LIBRARY = Rule(
    "registry-of-another-library",
    "Expected 'from {library} import {registry}'; found it imported from {module}.",
    "Import the registry from the library that the plugin is for.",
)
REGISTRY_OF_ANOTHER_TYPE = Rule(
    "registry-of-another-type",
    "Expected a plugin in {type}/ to register {kinds}; found {identifier} in {kind}, where the library does not look for it.",
    "Move it to a plugin of its own.",
)
NOTHING_REGISTERED = Rule(
    "nothing-registered",
    "Expected {registration}; found no registration.",
    "Register the plugin in its __init__.py.",
)
INIT_NO_FILE = Rule(
    "plugin-init-no-file",
    "Expected __init__.py to be a plain file; found a {kind}.",
    "Put the file itself in its place.",
)

# -------------------------------------------------------------------- a plugin's folder

PLUGIN_NAME = Rule(
    "plugin-name",
    "Expected a plugin's folder; found that {fault}.",
    "Rename the folder, for example to {example}.",
)
PLUGIN_NO_INIT = Rule(
    "plugin-no-init",
    "Expected __init__.py in the plugin's folder; found none.",
    "Add an __init__.py that registers the plugin.",
)
PLUGIN_NO_TEST = Rule(
    "plugin-no-test",
    "Expected a test file, such as test.py, in the plugin's folder; found none.",
    "Add a test that loads the plugin and checks what it does.",
)
PLUGIN_EXISTS = Rule(
    "plugin-exists",
    "Expected a new plugin; found that {library} has one of this name.",
    "Choose another name for the folder.",
)
IDENTIFIER_EXISTS = Rule(
    "identifier-exists",
    "Expected a new identifier; found {identifier}, which exists already in {kind}.",
    "Choose another identifier.",
)

# -------------------------------------------------------------------- a plugin's metadata

METADATA_UNREADABLE = Rule(
    "metadata-unreadable",
    "Expected metadata as plain YAML; found that {fault}.",
    "Correct the file, or leave it out.",
)
METADATA_TWICE = Rule(
    "metadata-twice",
    "Expected metadata.yml; found metadata.yaml as well.",
    "Keep one of them.",
)
METADATA_UNKNOWN_KEY = Rule(
    "metadata-unknown-key",
    "Expected only known names ({known}); found {key}.",
    "Correct the name, or leave it out; what has no name of its own may stand in extra_notes.",
)
METADATA_UNKNOWN_IDENTIFIER = Rule(
    "metadata-unknown-identifier",
    "Expected metadata of what the plugin registers ({registered}); found {identifier}.",
    "Use the identifier as it is registered.",
)
METADATA_WRONG_VALUE = Rule(
    "metadata-wrong-value",
    "Expected {key} to be {expected}; found {found}.",
    "Correct it, or leave it out.",
)
METADATA_PLACEHOLDER = Rule(
    "metadata-placeholder",
    "Expected a value for {key}; found the placeholder {found}.",
    "Write what it is; leave it out, or write null, where nobody knows.",
)
METADATA_LINKS_DISAGREE = Rule(
    "metadata-links-disagree",
    "Expected huggingface_link and hugging_face_link, which mean the same, to agree; found {one} and {other}.",
    "Keep one of them.",
)

# -------------------------------------------------------------------- an archive

ARCHIVE_TOO_LARGE = Rule(
    "archive-too-large",
    "Expected an archive of at most {most}; found {size}.",
    _NO_WEIGHTS,
)
ARCHIVE_TOO_MANY_MEMBERS = Rule(
    "archive-too-many-members",
    "Expected at most {most} files and folders; found {count}.",
    "Leave out what the plugin does not need, or pack its data into one file.",
)
ARCHIVE_EXPANDS_TOO_MUCH = Rule(
    "archive-expands-too-much",
    "Expected an archive of {size} to unpack to at most {most}; found more.",
    _NO_WEIGHTS,
)
ARCHIVE_DAMAGED = Rule(
    "archive-damaged",
    "Expected a whole zip file; found {fault}.",
    _SAME_PROGRAM,
)
NO_PLUGIN = Rule(
    "no-plugin",
    "Expected at least one plugin's folder in models/, benchmarks/, data/ or metrics/, such as models/my_model/ with "
    "__init__.py and test.py in it; found {found}.",
    "Put your code into such a folder and pack it again.",
)
TOO_MANY_PLUGINS = Rule(
    "too-many-plugins",
    "Expected at most {most} plugins; found {count}.",
    "Send them in several archives.",
)
SEVERAL_ROOTS = Rule(
    "several-roots",
    "Expected all plugins under one folder; found them under {roots}.",
    "Move them together, or send one archive for each.",
)
FILE_OUTSIDE_PLUGINS = Rule(
    "file-outside-plugins",
    "Expected every file in a plugin's folder, such as models/my_model/weights.csv; found that {fault}.",
    "Move it into the plugin's folder, or leave it out.",
)

# -------------------------------------------------------------------- a file in an archive

PATH_REFUSED = Rule(
    "path-refused",
    "Expected a plain path such as models/my_model/__init__.py; found that {fault}.",
    "Rename the file, or leave it out.",
)
PATH_TOO_LONG = Rule(
    "path-too-long",
    "Expected a path of at most {most} characters; found {length}.",
    "Use shorter names, or fewer folders within each other.",
)
PATH_COLLISION = Rule(
    "path-collision",
    "Expected names that differ on every computer; found that it differs from {other} only by {difference}.",
    "Rename one of them.",
)
PATH_FILE_AND_FOLDER = Rule(
    "path-file-and-folder",
    "Expected a file or a folder; found both under one name.",
    "Rename one of them.",
)
MEMBER_TWICE = Rule(
    "member-twice",
    "Expected each file once; found it twice.",
    _SAME_PROGRAM,
)
MEMBER_IS_LINK = Rule(
    "member-is-link",
    "Expected a file; found a link to one.",
    "Put the file itself in its place.",
)
MEMBER_IS_SPECIAL = Rule(
    "member-is-special",
    "Expected a file; found a device, a pipe, or a folder with content of its own.",
    "Leave it out.",
)
MEMBER_ENCRYPTED = Rule(
    "member-encrypted",
    "Expected a file that can be read; found it encrypted.",
    "Pack the folder again without a password.",
)
MEMBER_METHOD = Rule(
    "member-method",
    "Expected ordinary zip compression (deflate) or none; found another method.",
    _SAME_PROGRAM,
)
MEMBER_DAMAGED = Rule(
    "archive-damaged",
    "Expected a whole file; found {fault}.",
    _SAME_PROGRAM,
)
MEMBER_TOO_LARGE = Rule(
    "member-too-large",
    "Expected a file of at most {most}; found a larger one.",
    _NO_WEIGHTS,
)
MEMBER_EXPANDS_TOO_MUCH = Rule(
    "member-expands-too-much",
    "Expected a file to unpack to at most {ratio} times its packed size; found more.",
    "Leave it out, and let the plugin make or download it.",
)
