"""`python -m tests.structure [CHECKOUT]`: figures of the house, to compare two checkouts."""

import ast
import io
import re
import sys
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

PERSON = re.compile(r"\b(who|whoever|whom|nobody|somebody)\b", re.IGNORECASE)
WORD = re.compile(r"[^\W\d_][\w'-]*")


def modules(service: Path) -> dict[str, ast.Module]:
    """Return each module of the service by its dotted name."""
    return {
        ".".join(("service", *path.relative_to(service).with_suffix("").parts)): ast.parse(
            path.read_text(encoding="utf-8")
        )
        for path in sorted(service.rglob("*.py"))
        if path.name != "__init__.py"
    }


def imports(tree: ast.Module, known: set[str]) -> Iterator[str]:
    """Yield the modules of the service that `tree` imports, however it names them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            yield from names & known


def arrows(found: dict[str, ast.Module]) -> Iterator[tuple[str, int, int, int]]:
    """Yield room, modules, imports between its modules, and those between its wings."""
    inside: dict[str, Counter[str]] = defaultdict(Counter)
    files = Counter(name.split(".")[1] for name in found)
    for name, tree in found.items():
        room = name.split(".")[1]
        for target in imports(tree, set(found)):
            if target.split(".")[1] == room:
                inside[room]["modules"] += 1
                inside[room]["wings"] += wing(name) != wing(target)
    for room in sorted(files):
        yield room, files[room], inside[room]["modules"], inside[room]["wings"]


def wing(name: str) -> str:
    parts = name.split(".")
    return parts[2] if len(parts) > 3 else name  # a module beside the wings is one of its own


def persons(service: Path) -> float:
    """Return the words for a person in a thousand words of comments and docstrings."""
    text: list[str] = []
    for path in service.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        text.extend(token.string for token in tokens if token.type == tokenize.COMMENT)
        documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        text.extend(
            ast.get_docstring(node) or ""
            for node in ast.walk(ast.parse(source))
            if isinstance(node, documented)
        )
    whole = "\n".join(text)
    return 1000 * len(PERSON.findall(whole)) / len(WORD.findall(whole))


def figures(root: Path) -> Iterator[str]:
    """Yield the lines of the table."""
    service = root / "service"
    found = modules(service)
    yield "room            modules  imports inside  between wings"
    for room, number, all_inside, between in arrows(found):
        if number > 1:
            yield f"{room:<15} {number:>7}  {all_inside:>14}  {between:>13}"
    classes = Counter(
        node.name
        for tree in found.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    )
    texts = [path.read_text(encoding="utf-8") for path in service.rglob("*.py")]
    ports = [service / "ports.py", *(service / "ports").glob("*.py")]
    lines = [len(p.read_text(encoding="utf-8").splitlines()) for p in ports if p.exists()]
    readme = len((root / "README.md").read_text(encoding="utf-8").splitlines())
    yield f"classes {len(classes)}, names that stand twice {sum(n > 1 for n in classes.values())}"
    yield f"person-words in a thousand {persons(service):.2f}"
    yield f"AppKeys {sum(text.count('web.AppKey') for text in texts)}"
    yield f"ports: {len(lines)} modules, the longest {max(lines)} lines"
    yield f"README.md {readme} lines"


if __name__ == "__main__":
    checkout = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1]
    sys.stdout.write("\n".join(figures(checkout)) + "\n")
