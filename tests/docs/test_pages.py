"""What people read is true: links lead somewhere, paths exist, commands parse, blueprints are valid."""

import ast
import os
import re
import shlex
import subprocess
import sys
import tomllib

import pytest
import typer
from ruamel.yaml import YAML

from isthmus.blueprint import source, validate
from isthmus.connectors.kit import registry

GUIDES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
FENCE = re.compile(r"^([ ]*)```(\w+)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def every_page(root):
    return [root / each for each in GUIDES] + sorted((root / "docs").rglob("*.md"))


def fences(text, language):
    return [
        re.sub(rf"^{indent}", "", body, flags=re.MULTILINE)
        for indent, kind, body in FENCE.findall(text)
        if kind == language
    ]


def test_every_internal_link_leads_to_a_file_and_a_heading(root, page):
    assert [
        each for path in every_page(root) for each in broken_links(root, page, path, path.read_text())
    ] == []


@pytest.mark.parametrize("target", ["nowhere.md", "how-to/operate.md#no-such-heading", "../gone/away.md"])
def test_a_broken_link_would_be_noticed(root, page, target):
    text = f"See [here]({target}) and [there](how-to/operate.md#parked-fields) and [outside](https://example.org/x)."
    assert [each.endswith(target) for each in broken_links(root, page, root / "docs/index.md", text)] == [
        True
    ]


def broken_links(root, page, path, text):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text)):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        found = (path.parent / name).resolve() if name else path
        if not found.exists():
            broken.append(f"{path.name}: {target}")
        elif anchor and anchor not in anchors(page(found.relative_to(root / "docs"))):
            broken.append(f"{path.name}: no heading {target}")
    return broken


def anchors(text):
    found = set(re.findall(r"\{ #([\w-]+) \}", text))
    for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"[^\w\s-]", "", title.lower()).strip()
        found.add(re.sub(r"[\s-]+", "-", plain))
    return found


def test_the_table_of_contents_holds_every_page_once(root):
    class Settings(YAML):
        pass

    nav = Settings(typ="safe").load((root / "mkdocs.yml").read_text())["nav"]

    def leaves(node):
        if isinstance(node, str):
            return [node]
        children = node.values() if isinstance(node, dict) else node
        return [leaf for child in children for leaf in leaves(child)]

    pages = sorted(str(path.relative_to(root / "docs")) for path in (root / "docs").rglob("*.md"))
    assert sorted(leaves(nav)) == pages


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md"])
def test_paths_named_in_a_guide_exist(root, name):
    words = re.findall(r"`([\w./*<>{}-]+)`", (root / name).read_text())
    missing = [word for word in words if looks_like_a_path(word) and not exists(root, word)]
    assert missing == []


def looks_like_a_path(word):
    return "/" in word and not word.startswith(("/", "make ")) and "<" not in word and "=" not in word


def exists(root, word):
    bases = (root, root / "src/isthmus", root / "src/isthmus/practices/incident")
    return any(True for base in bases for _ in base.glob(word.rstrip("/")))


def test_a_path_that_is_gone_would_be_noticed(root):
    assert looks_like_a_path("hub/delivery.py")
    assert not exists(root, "hub/delivery.py")
    assert exists(root, "connectors/*/webhook.py")


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/tutorial/first-incident.md"])
def test_make_targets_that_are_named_exist(root, name):
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", (root / name).read_text(), re.MULTILINE))
    assert named
    assert named <= targets


def commands(root, path):
    """Every `isthmus …` in console blocks, and every `isthmus …` in running text, as argument lists."""
    text = path.read_text()
    lines = [line for body in fences(text, "console") + fences(text, "sh") for line in body.splitlines()]
    lines += re.findall(r"`(isthmus [^`]+)`", FENCE.sub("", text))
    for line in lines:
        for part in re.split(r"&&|\|\||\|| > |; ", line):
            if part.strip().startswith("isthmus "):
                yield shlex.split(part.strip().rstrip("&"), comments=True)[1:]


def parse(arguments):
    from isthmus.cli.main import app

    command = typer.main.get_command(app)
    context = command.make_context("isthmus", list(arguments), resilient_parsing=False)
    while getattr(command, "commands", None):
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, list(rest), parent=context)


def test_commands_in_every_page_parse(root):
    tried, wrong = 0, []
    for path in every_page(root) + sorted(root.glob("src/isthmus/connectors/*/doc.md")):
        if "docs/reference" in str(path):
            continue
        for arguments in commands(root, path):
            if any("…" in word or "<" in word for word in arguments):
                continue
            tried += 1
            try:
                parse(arguments)
            except Exception as refused:
                if not is_group(arguments):
                    wrong.append(f"{path.name}: isthmus {shlex.join(arguments)}: {refused}")
    assert tried > 30
    assert wrong == []


def is_group(arguments):
    """Running text may name a group (`isthmus gate`) or a required argument's command without arguments."""
    from isthmus.cli.main import app

    command = typer.main.get_command(app)
    for word in arguments:
        command = getattr(command, "commands", {}).get(word)
        if command is None:
            return False
    return True


@pytest.mark.parametrize(
    "wrong", [["trace"], ["systems", "paint"], ["audit", "verify", "--loudly"], ["token", "issue", "ci"]]
)
def test_a_command_that_does_not_exist_would_be_noticed(wrong):
    with pytest.raises(Exception, match=r".+"):
        parse(wrong)


def test_programs_named_in_console_blocks_exist(root):
    named = {
        module
        for path in every_page(root)
        for body in fences(path.read_text(), "console") + fences(path.read_text(), "text")
        for module in re.findall(r"python -m (isthmus[\w.]*)", body)
    }
    assert "isthmus.connectors.kit.simulator" in named
    for module in sorted(named):
        done = subprocess.run(
            [sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{module}: {done.stderr[-500:]}"


def test_the_tutorials_blueprint_is_valid(root, tmp_path):
    text = (root / "docs/tutorial/first-incident.md").read_text()
    for name, body in re.findall(r'```yaml title="my-blueprint/([\w.]+)"\n(.*?)```', text, re.DOTALL):
        (tmp_path / name).write_text(body)
    assert len(list(tmp_path.iterdir())) == 3
    assert problems(tmp_path) == []
    path = tmp_path / "connections.yaml"
    path.write_text(path.read_text().replace("connector: alertmanager", "conector: alertmanager"))
    said = problems(tmp_path)
    assert "conector" in str(said[0])
    assert said[0].path == "connections.yaml:3:/connections/prometheus/conector"
    assert said[0].remedy


def problems(folder):
    return validate.check(source.read_directory(folder))[1]


def blueprints(root):
    paths = [*every_page(root), *sorted(root.glob("src/isthmus/connectors/*/doc.md"))]
    for path in paths:
        for body in fences(path.read_text(), "yaml"):
            if re.search(r"^(connections|sync|monitoring|incident|change|routes):", body, re.MULTILINE):
                yield path, body


def test_blueprints_in_every_page_are_valid(root, tmp_path):
    wrong, tried = [], 0
    for place, (path, body) in enumerate(blueprints(root)):
        if "first-incident" in path.name or "add-a-connector" in path.name:
            continue  # the tutorial is tried whole; a scaffolded connector exists only once it is written
        folder = tmp_path / str(place)
        folder.mkdir()
        (folder / "one.yaml").write_text(body)
        tried += 1
        wrong += [f"{path}: {each}" for each in problems(folder)]
    assert tried >= 7
    assert wrong == []


def test_exactly_the_packages_that_we_depend_on_have_a_reason(root):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    used, developing = (root / "docs/dependencies.md").read_text().split("## Development only")
    assert reasoned(used) == {bare(each) for each in project["dependencies"]}
    assert reasoned(developing) == {bare(each) for each in project["optional-dependencies"]["dev"]}


def bare(requirement):
    return re.split(r"[<>=!~\[; ]", requirement.strip())[0].lower()


def reasoned(text):
    rows = re.findall(r"^\| ([^|]+) \| [^|]*\S[^|]* \|$", text, re.MULTILINE)
    return {bare(name) for row in rows if row != "package" for name in row.split(",")}


def test_every_counter_example_is_told_in_words(root):
    tree = ast.parse((root / "tests/sync/test_counter_examples.py").read_text())
    rules = {
        match.group(1)
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and (match := re.match(r"test_(r\d+b?|if_match)_", node.name))
    }
    text = (root / "docs/explanation/synchronisation.md").read_text()
    table = text.split("## The rules, and what happens without them")[1].split("\n\n")
    rows = [line for block in table for line in block.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == len(rules)


def test_the_connectors_of_the_command_lines_simulator_have_one(root):
    named = {
        name
        for path in every_page(root)
        for name in re.findall(r"kit\.simulator (\w+)", path.read_text())
        if name != "CONNECTOR"
    }
    assert named
    for name in named:
        assert registry.find(name).connector.simulator is not None


def test_the_documentation_builds_strictly(root, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=root,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "site/tutorial/first-incident/index.html").exists()
