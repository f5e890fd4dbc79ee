"""From SCXML to a machine of XState 4, as XState's own `toMachine` converts it.

What XState does not convert is not converted here either: `script`, `foreach`, `In()`, data models
below the root. Expressions stay as they are, in functions that find the data by their names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from tests.differential.random_machines import Code, written

_STATES = ("state", "parallel", "final", "history")
_HEAD = """\
import { actions, assign, createMachine, send } from "npm:xstate@4";
export { interpret as run } from "npm:xstate@4";

const { choose, log, raise } = actions;
const _sessionid = "NOT_IMPLEMENTED";
const inMs = (delay) => parseFloat(delay) * (delay.endsWith("ms") ? 1 : 1000);

export const allowRead = () => true;
export const allowWrite = () => true;
"""


def source_of(document: str, initial: str | None = None) -> str:
    """The module of a machine, which may begin elsewhere than its document says.

    It is not a predictable one, as in XState's own suite.
    """
    root = ElementTree.fromstring(document)
    if initial is not None:
        root.set("initial", initial)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    config = _Converter(root).config
    return f"{_HEAD}\nexport default createMachine({written(config)});\n"


class _Converter:
    def __init__(self, root: Element) -> None:
        data = [(each.get("id"), each.get("expr")) for each in root.iterfind("./datamodel/data")]
        set_later = [each.get("location") for each in root.iter("assign")]
        names = sorted({name for name in [*set_later, *dict(data)] if name and name.isidentifier()})
        self._data = f"const {{ {', '.join(names)} }} = context; " if names else ""
        self.config = {
            "predictableActionArguments": False,
            "delimiter": "$",
            "context": {name: Code(expr or "undefined") for name, expr in data if name},
            **self._node(root, "(machine)"),
        }

    def _function(self, body: str) -> Code:
        return Code(f"(context, event, {{ _event }}) => {{ {self._data}return {body}; }}")

    # States and transitions.

    def _node(self, element: Element, id: str) -> dict[str, Any]:
        if element.tag == "final":
            return {"id": id, "type": "final"}
        if element.tag == "history":
            return self._history(element, id)
        node: dict[str, Any] = {
            "id": id,
            "entry": self._content(element.find("onentry")),
            "exit": self._content(element.find("onexit")),
            "on": [self._transition(each) for each in element.iterfind("transition")],
        }
        if element.find("invoke") is not None:
            node["invoke"] = {"src": "child"}
        children = [child for child in element if child.tag in _STATES]
        if element.tag == "parallel":
            node["type"] = "parallel"
        elif children:
            node["initial"] = _initial(element, children)
        if children:
            ids = [child.attrib["id"] for child in children]
            node["states"] = {
                id: self._node(child, id) for id, child in zip(ids, children, strict=True)
            }
        return node

    def _history(self, element: Element, id: str) -> dict[str, Any]:
        node = {"id": id, "type": "history", "history": element.get("type", "shallow")}
        transition = element.find("transition")
        return node if transition is None else {**node, "target": f"#{transition.get('target')}"}

    def _transition(self, element: Element) -> dict[str, Any]:
        transition: dict[str, Any] = {
            "event": element.get("event", ""),
            "actions": self._content(element),
            "internal": element.get("type") == "internal",
        }
        if target := element.get("target"):
            transition["target"] = [f"#{id}" for id in target.split()]
        if condition := element.get("cond"):
            transition["cond"] = self._function(condition)
        return transition

    # Executable content.

    def _content(self, elements: Iterable[Element] | None) -> list[Code]:
        return [] if elements is None else [self._action(each) for each in elements]

    def _action(self, element: Element) -> Code:
        match element.tag:
            case "raise":
                return Code(f"raise({written(element.get('event'))})")
            case "assign":
                value = f"{{ {written(element.get('location'))}: ({element.get('expr')}) }}"
                return Code(f"assign({self._function(f'({value})')})")
            case "send":
                return self._send(element)
            case "log":
                text = self._function(f"({element.get('expr')})")
                return Code(f"log({text}, {written(element.get('label', ''))})")
            case "if":
                return self._choose(element)
        raise NotImplementedError(element.tag)

    def _send(self, element: Element) -> Code:
        event, expression = element.get("event"), element.get("eventexpr")
        type = written(event) if event else f"({expression})"
        fields = [f"{each.get('name')}: ({each.get('expr')})" for each in element.iterfind("param")]
        made = self._function(f"({{ {', '.join([f'type: {type}', *fields])} }})")
        options: dict[str, Any] = {}
        if target := element.get("target"):
            options["to"] = target
        if delay := element.get("delay"):
            options["delay"] = Code(f"inMs({written(delay)})")
        elif delay := element.get("delayexpr"):
            options["delay"] = self._function(f"inMs({delay})")
        return Code(f"send({made if fields or expression else type}, {written(options)})")

    def _choose(self, element: Element) -> Code:
        branches: list[dict[str, Any]] = [self._branch(element)]
        for each in element:
            if each.tag in ("elseif", "else"):
                branches.append(self._branch(each))
            else:
                branches[-1]["actions"].append(self._action(each))
        return Code(f"choose({written(branches)})")

    def _branch(self, element: Element) -> dict[str, Any]:
        condition = element.get("cond")
        return {"actions": [], **({"cond": self._function(condition)} if condition else {})}


def _initial(element: Element, children: list[Element]) -> str:
    """The child where a state begins.

    Where the document names a deeper state, each on the way there begins with the next one. XState
    knows no such thing, and its suite sets the first state of that test by hand.
    """
    chosen = element.find("initial/transition")
    target = element.get("initial") or (None if chosen is None else chosen.get("target"))
    if target is None:
        return children[0].attrib["id"]
    [child] = (each for each in children if target in (inner.get("id") for inner in each.iter()))
    if child.get("id") != target:
        child.set("initial", target)
    return child.attrib["id"]
