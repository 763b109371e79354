"""A change of the product for a mutant: within one named function or constant, independent of its formatting."""

import ast
import copy
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


class NoSuchPlace(Exception):
    """What is to be changed is not there, or more than once."""


@dataclass(frozen=True, slots=True)
class Change:
    """*old* is once in what *where* names, and *new* replaces it.

    *where* is ``file.py:function``, ``file.py:Class.method`` or ``file.py:CONSTANT``, or the file alone for its
    top level. In code, *old* and *new* are an expression each, or statements; nothing as *new* takes statements out.
    In a constant they are parts of its text, compared without regard to white space.
    """

    where: str
    old: str
    new: str

    @property
    def file(self) -> str:
        """The file that is changed."""
        return self.where.partition(":")[0]

    def applied(self, source: str) -> str:
        """Return a module's source with the change, formatted again; raise ``NoSuchPlace``."""
        tree = ast.parse(source)
        place = _named(tree, self.where.partition(":")[2])
        changed = _in_text(place, self) if isinstance(place, ast.Assign | ast.AnnAssign) else _in_code(place, self)
        if changed != 1:
            raise NoSuchPlace(f"{self.where} has this {changed} times, not once: {self.old}")
        return ast.unparse(ast.fix_missing_locations(tree))

    def check(self, root: Path) -> None:
        """Raise ``NoSuchPlace`` if the change cannot be made."""
        self.applied((root / self.file).read_text())


def _named(tree: ast.Module, path: str) -> ast.AST:
    place: ast.AST = tree
    for name in filter(None, path.split(".")):
        found = [node for node in ast.iter_child_nodes(place) if _name_of(node) == name]
        if len(found) != 1:
            raise NoSuchPlace(f"there is no {path}, or several")
        (place,) = found
    return place


def _name_of(node: ast.AST) -> str | None:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id
    return None


def _in_text(place: ast.AST, change: Change) -> int:
    """Replace a part of the texts that a constant is made of; return how often it was found."""
    pattern = re.compile(r"\s+".join(map(re.escape, change.old.split())))
    count = 0
    for node in ast.walk(place):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value, times = pattern.subn(lambda _: change.new, node.value)
            count += times
    return count or _in_code(place, change)


def _in_code(place: ast.AST, change: Change) -> int:
    """Replace an expression, or statements in a row; return how often they were found."""
    try:
        old = ast.parse(change.old, mode="eval").body
        new = ast.parse(change.new, mode="eval").body
    except SyntaxError:
        with suppress(SyntaxError):  # a part of a text, which is no code
            return _statements(place, ast.parse(change.old).body, ast.parse(change.new).body)
        return 0
    replaced = _Replace(ast.dump(old), new)
    replaced.visit(place)
    return replaced.count


class _Replace(ast.NodeTransformer):
    def __init__(self, old: str, new: ast.expr) -> None:
        self._old = old
        self._new = new
        self.count = 0

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.expr) and ast.dump(node) == self._old:
            self.count += 1
            return copy.deepcopy(self._new)
        return self.generic_visit(node)


def _statements(place: ast.AST, old: list[ast.stmt], new: list[ast.stmt]) -> int:
    wanted = [ast.dump(one) for one in old]
    count = 0
    for node in ast.walk(place):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if not isinstance(block, list):
                continue
            dumped = [ast.dump(one) for one in block]
            for start in range(len(block) - len(wanted) + 1):
                if dumped[start : start + len(wanted)] == wanted:
                    count += 1
                    block[start : start + len(wanted)] = new or [ast.Pass()]
                    break
    return count
