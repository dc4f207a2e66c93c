"""Finds names that nothing defines before anything runs, as the server's compiler does.

Walks the tree with the names in scope; values and types are not looked at.
"""

from collections.abc import Iterable
from dataclasses import fields

from ts_migration.local.influxdb.flux import syntax
from ts_migration.local.influxdb.flux.errors import Location, ProgramError
from ts_migration.local.influxdb.flux.library import NOT_HERE

Finding = tuple[Location, str]


def check(program: syntax.Program, known: Iterable[str]) -> None:
    """Raises ProgramError with every undefined name, in the order of the text."""
    scope = set(known) | {imported.alias for imported in program.imports}
    findings: list[Finding] = []
    _statements(program.statements, scope, findings)
    if findings:
        raise ProgramError(sorted(findings))


def _statements(statements: Iterable[syntax.Node], scope: set[str], findings: list[Finding]) -> None:
    for statement in statements:
        if isinstance(statement, syntax.Assignment):
            _expression(statement.value, scope, findings)
            if "." not in statement.name:
                scope.add(statement.name)
        elif isinstance(statement, (syntax.Return, syntax.Expression)):
            _expression(statement.value, scope, findings)


def _expression(node: syntax.Node, scope: set[str], findings: list[Finding]) -> None:
    if isinstance(node, syntax.Identifier):
        if node.name not in scope:
            if node.name in NOT_HERE:
                findings.append((node.place, f"{node.name} is not supported by the embedded InfluxDB"))
            else:
                findings.append((node.place, f"undefined identifier {node.name}"))
        return
    if isinstance(node, syntax.FunctionNode):
        for parameter in node.parameters:
            if parameter.default is not None:
                _expression(parameter.default, scope, findings)
        inner = scope | {parameter.name for parameter in node.parameters}
        if isinstance(node.body, syntax.Block):
            _statements(node.body.statements, inner, findings)
        else:
            _expression(node.body, inner, findings)
        return
    for child in _children(node):
        _expression(child, scope, findings)


def _children(node: syntax.Node) -> Iterable[syntax.Node]:
    for each in fields(node):
        value = getattr(node, each.name)
        if isinstance(value, syntax.Node):
            yield value
        elif isinstance(value, tuple):
            for item in value:
                if isinstance(item, syntax.Node):
                    yield item
                elif isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], syntax.Node):
                    yield item[1]
