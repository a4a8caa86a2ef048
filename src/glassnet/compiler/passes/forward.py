"""Forward: what was just stored is not loaded again, where straight-line code makes that plain.

In the smallest networks every loop is written out, and a step would pass its numbers on through memory at ten
cycles a hand-over. Loads from fixed places take the value that was stored or loaded there before; an element
of a stored vector is taken out of its register. Stores that nobody reads are dropped. What a straight-line
loop reads and overwrites, it carries in registers; memory sees it before the loop and behind it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from glassnet.compiler.loop_ir import (
    Barrier,
    Buffer,
    Function,
    If,
    Index,
    Instruction,
    Load,
    Loop,
    Operand,
    Statement,
    Store,
    Type,
    Value,
)

# buffer: {(first element, lanes): value}
Contents = dict[Buffer, dict[tuple[int, int], Operand]]
Place = tuple[Buffer, int, int]  # first element, lanes


def forward(function: Function, temporary: Collection[Buffer]) -> Function:
    """The function with fewer loads and stores; only stores to `temporary` buffers may go."""
    forwarder = _Forwarder()
    body = forwarder.body(function.body, {})
    loaded = {statement.buffer for statement in walk(body) if isinstance(statement, Load)}
    unread = {buffer for buffer in temporary if buffer not in loaded}
    result = forwarder.operand(function.result) if function.result is not None else None
    return replace(function, body=_without_stores(body, unread), result=result)


def walk(body: Sequence[Statement]) -> Iterator[Statement]:
    """Every statement, those of inner bodies included."""
    for statement in body:
        yield statement
        if isinstance(statement, Loop | If):
            yield from walk(statement.body)


def _without_stores(body: Sequence[Statement], unread: Collection[Buffer]) -> tuple[Statement, ...]:
    kept: list[Statement] = []
    for statement in body:
        if isinstance(statement, Store) and statement.buffer in unread:
            continue
        if isinstance(statement, Loop | If):
            statement = replace(statement, body=_without_stores(statement.body, unread))
        kept.append(statement)
    return tuple(kept)


def _place(access: Load | Store) -> Place:
    value = access.result if isinstance(access, Load) else access.value
    return access.buffer, access.index.constant, value.type.lanes


def _carried_places(body: Sequence[Statement]) -> list[Place]:
    """What a straight-line body reads and then overwrites, where no other access meets it halfway."""
    if any(isinstance(statement, Loop | If | Barrier) for statement in body):
        return []
    accesses = [statement for statement in body if isinstance(statement, Load | Store)]
    moving = {access.buffer for access in accesses if _is_moving(access)}
    stored = dict.fromkeys(_place(access) for access in accesses if isinstance(access, Store))
    return [
        place
        for place in stored
        if place[0] not in moving
        and place[0].size is not None  # a loop of no trip must not load what may not be there
        and isinstance(next(access for access in accesses if _meets(place, access)), Load)
        and not any(_splits(place, access) for access in accesses)
    ]


def _is_moving(access: Load | Store) -> bool:
    """Whether the access is not simply to consecutive elements at a fixed place."""
    apart = isinstance(access, Load) and access.stride != 1
    return bool(access.index.terms) or access.mask is not None or apart


def _meets(place: Place, access: Load | Store) -> bool:
    (buffer, start, lanes), (other, first, width) = place, _place(access)
    return buffer is other and first < start + lanes and start < first + width


def _splits(place: Place, access: Load | Store) -> bool:
    """Whether the access meets the place and is neither to all of it nor a load of one element."""
    element = isinstance(access, Load) and access.result.type.lanes == 1
    return _meets(place, access) and not element and _place(access) != place


class _Forwarder:
    def __init__(self) -> None:
        self.replaced: dict[Value, Operand] = {}
        self.written: dict[
            int, set[Buffer]
        ] = {}  # by the identity of bodies of the function, which stays alive
        self.made = 0

    def operand(self, operand: Operand) -> Operand:
        """What stands for `operand` now."""
        return self.replaced.get(operand, operand) if isinstance(operand, Value) else operand

    def body(self, statements: Sequence[Statement], contents: Contents) -> tuple[Statement, ...]:
        """The statements of one body, with `contents` known when it begins and kept up to date."""
        result: list[Statement] = []
        for statement in statements:
            match statement:
                case Instruction():
                    operands = tuple(map(self.operand, statement.operands))
                    result.append(replace(statement, operands=operands))
                case Load():
                    result.extend(self._load(statement, contents))
                case Store():
                    statement = replace(
                        statement, value=self.operand(statement.value), index=self._index(statement.index)
                    )
                    self._store(statement, contents)
                    result.append(statement)
                case Loop():
                    result.extend(self._loop(statement, contents))
                case If():
                    inner = self.body(
                        statement.body, {buffer: dict(held) for buffer, held in contents.items()}
                    )
                    self._forget(statement.body, contents)
                    result.append(replace(statement, condition=self.operand(statement.condition), body=inner))
                case Barrier():
                    # What others store, every thread has in its text, and forgets by it.
                    result.append(statement)
        return tuple(result)

    def _index(self, index: Index) -> Index:
        # a replaced value in an index can only be another value: constants were folded when it was made
        terms = [(self.operand(value), factor) for value, factor in index.terms]
        return Index(
            tuple((value, factor) for value, factor in terms if isinstance(value, Value)), index.constant
        )

    def _load(self, load: Load, contents: Contents) -> list[Statement]:
        load = replace(load, index=self._index(load.index))
        if _is_moving(load):
            return [load]
        held = contents.setdefault(load.buffer, {})
        place = load.index.constant, load.result.type.lanes
        if place in held:
            self.replaced[load.result] = held[place]
            return []
        if place[1] == 1:
            for (start, lanes), value in held.items():
                if start <= place[0] < start + lanes and isinstance(value, Value):
                    element = self._made("element", load.result.type)
                    self.replaced[load.result] = held[place] = element
                    return [Instruction(element, "extract", (value,), (place[0] - start,))]
        held[place] = load.result
        return [load]

    def _store(self, store: Store, contents: Contents) -> None:
        held = contents.setdefault(store.buffer, {})
        if _is_moving(store):
            held.clear()
            return
        start, lanes = store.index.constant, store.value.type.lanes
        for other, width in list(held):
            if other < start + lanes and start < other + width:
                del held[other, width]
        held[start, lanes] = store.value

    def _loop(self, loop: Loop, contents: Contents) -> list[Statement]:
        """The loop, behind loads and in front of stores of what it carries."""
        bounds = [self.operand(x) if isinstance(x, Value) else x for x in (loop.start, loop.stop)]
        inits = tuple(map(self.operand, loop.inits))
        places = _carried_places(loop.body)
        types = [Type(buffer.element, lanes) for buffer, _, lanes in places]
        first, carried, last = ([self._made(name, t) for t in types] for name in ("first", "carried", "last"))
        before, behind = [], []
        for (buffer, start, _), value, result in zip(places, first, last, strict=True):
            before += self._load(Load(value, buffer, Index.of(start)), contents)
            behind.append(Store(buffer, Index.of(start), result))
        self._forget(loop.body, contents)  # a trip may read what the trip before it wrote
        known = {buffer: dict(held) for buffer, held in contents.items()}
        for (buffer, *place), value in zip(places, carried, strict=True):
            known.setdefault(buffer, {})[place[0], place[1]] = value
        body = self.body(loop.body, known)
        yields = tuple(map(self.operand, loop.yields))
        changed = replace(
            loop,
            start=bounds[0],
            stop=bounds[1],
            carried=(*loop.carried, *carried),
            inits=(*inits, *map(self.operand, first)),
            body=tuple(x for x in body if not (isinstance(x, Store) and _place(x) in places)),
            yields=(*yields, *(known[buffer][start, lanes] for buffer, start, lanes in places)),
            results=(*loop.results, *last),
            going=self.operand(loop.going) if loop.going is not None else None,
        )
        for store in behind:
            self._store(store, contents)
        return [*before, changed, *behind]

    def _made(self, name: str, type: Type) -> Value:
        self.made += 1
        return Value(f"{name}{self.made}", type)

    def _forget(self, body: tuple[Statement, ...], contents: Contents) -> None:
        for buffer in self._written(body):
            contents.pop(buffer, None)

    def _written(self, body: tuple[Statement, ...]) -> set[Buffer]:
        """The buffers that a body stores to, what is inside it included; each body is looked at once."""
        if id(body) not in self.written:
            found = {statement.buffer for statement in body if isinstance(statement, Store)}
            inner = [self._written(statement.body) for statement in body if isinstance(statement, Loop | If)]
            self.written[id(body)] = found.union(*inner)
        return self.written[id(body)]
