"""Orders to the bank, for tests and demos: faults, and actions of a person at the bank."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs

from bank_stub.behaviour import Behaviour, Mode, status_json
from bank_stub.contract import KEY_CHARACTERS_MAX, UNKNOWN_PATH, Answer, Json, Kind, State, parse_terms
from bank_stub.faults import SECONDS_MAX, parse_fault
from bank_stub.fields import Fields, RefusalError
from bank_stub.pauses import Pauses
from bank_stub.traffic import InFlight


@dataclass(frozen=True, slots=True)
class Order:
    """One order; the path is what follows ``/orders``."""

    method: str
    path: str
    query: str
    body: bytes

    def fields(self, *names: str) -> Fields:
        """Parse the body, which may be empty and may only contain *names*."""
        fields = Fields.parse(self.body or b"{}")
        fields.only(names)
        return fields


class Orders:
    """Executes orders. *refuse* refuses connections for a number of seconds."""

    def __init__(
        self, behaviour: Behaviour, pauses: Pauses, in_flight: InFlight, refuse: Callable[[float], None]
    ) -> None:
        self._behaviour = behaviour
        self._book = behaviour.book
        self._pauses = pauses
        self._in_flight = in_flight
        self._refuse = refuse
        self._routes: dict[tuple[str, str], Callable[[Order], dict[str, Json]]] = {
            ("POST", "/faults"): self._add_fault,
            ("GET", "/faults"): self._list_faults,
            ("DELETE", "/faults"): self._clear_faults,
            ("POST", "/release"): self._release,
            ("POST", "/settle"): self._settle,
            ("POST", "/mode"): self._set_mode,
            ("GET", "/mode"): self._get_mode,
            ("POST", "/refuse"): self._refuse_connections,
            ("POST", "/forget"): self._forget,
            ("POST", "/return"): self._return,
            ("POST", "/execute"): self._execute,
            ("GET", "/requests"): self._requests,
            ("GET", "/stats"): self._stats,
            ("POST", "/stats/reset"): self._reset_stats,
        }

    def carry_out(self, order: Order) -> Answer:
        """Execute an order; raises :class:`RefusalError` if that is impossible."""
        route = self._routes.get((order.method, order.path))
        if route is None and order.method == "DELETE" and order.path.startswith("/faults/"):
            route = self._remove_fault
        return UNKNOWN_PATH if route is None else Answer(200, route(order))

    def _add_fault(self, order: Order) -> dict[str, Json]:
        fault = parse_fault(Fields.parse(order.body))
        with self._book.transaction():
            return {"id": self._behaviour.faults.add(fault)}

    def _list_faults(self, _order: Order) -> dict[str, Json]:
        with self._book.transaction():
            return {"faults": [fault.as_json() for fault in self._behaviour.faults]}

    def _clear_faults(self, _order: Order) -> dict[str, Json]:
        with self._book.transaction():
            return {"removed": self._behaviour.faults.remove(None)}

    def _remove_fault(self, order: Order) -> dict[str, Json]:
        number = order.path.removeprefix("/faults/")
        with self._book.transaction():
            known = any(str(fault.id) == number for fault in self._behaviour.faults)
            removed = self._behaviour.faults.remove(int(number)) if known else 0
        if not removed:
            raise RefusalError(404, "no such fault")
        return {"removed": removed}

    def _release(self, order: Order) -> dict[str, Json]:
        return {"released": self._pauses.release(order.fields("key").optional_text("key"))}

    def _settle(self, order: Order) -> dict[str, Json]:
        fields = order.fields("key", "outcome")
        outcome = fields.text("outcome")
        if outcome not in {State.EXECUTED, State.FAILED}:
            raise RefusalError(400, "outcome must be executed or failed")
        with self._book.transaction():
            records = self._book.records(fields.text("key"))
            if not records:
                raise RefusalError(404, "the bank knows nothing of the key")
            # A payout and a collection may share a key; the order concerns the pending one.
            record = next((record for record in records if record.state is State.PENDING), records[0])
            return status_json(self._behaviour.settle(record, State(outcome)))

    def _set_mode(self, order: Order) -> dict[str, Json]:
        fields = order.fields("idempotent", "status")
        with self._book.transaction():
            now = self._behaviour.mode()
            mode = Mode(
                fields.flag("idempotent", default=now.idempotent),
                fields.flag("status", default=now.status),
            )
            self._behaviour.set_mode(mode)
        return mode.as_json()

    def _get_mode(self, _order: Order) -> dict[str, Json]:
        with self._book.transaction():
            return self._behaviour.mode().as_json()

    def _refuse_connections(self, order: Order) -> dict[str, Json]:
        seconds = order.fields("seconds").number("seconds", at_most=SECONDS_MAX)
        self._refuse(seconds)
        return {"seconds": seconds}

    def _forget(self, order: Order) -> dict[str, Json]:
        key = order.fields("key").optional_text("key")
        with self._book.transaction():
            return {"forgotten": self._book.forget(key)}

    def _return(self, order: Order) -> dict[str, Json]:
        key = order.fields("key").text("key", at_least=1)
        with self._book.transaction():
            executed = self._book.first_unreturned(key)
            if executed is None:
                raise RefusalError(404, "nothing executed for the key that has not come back already")
            # The same reference, so that the line names the returned execution.
            return self._book.append_line(Kind.RETURN, key, executed.terms, executed.reference).as_json()

    def _execute(self, order: Order) -> dict[str, Json]:
        fields = order.fields("key", "amount", "currency", "account", "owner", "kind")
        kind = fields.text("kind", Kind.EXECUTION)
        if kind not in {Kind.EXECUTION, Kind.COLLECTION}:
            raise RefusalError(400, "kind must be execution or collection")
        key = fields.text("key", at_least=1, at_most=KEY_CHARACTERS_MAX) if "key" in fields else None
        terms = parse_terms(order.body)
        with self._book.transaction():
            return self._behaviour.execute(Kind(kind), key, terms, settled=True).as_json()

    def _requests(self, order: Order) -> dict[str, Json]:
        key = parse_qs(order.query).get("key", [""])[0]
        with self._book.transaction():
            return {"bodies": self._book.bodies(key)}

    def _stats(self, _order: Order) -> dict[str, Json]:
        now, most = self._in_flight.read()
        with self._book.transaction():
            return {
                "in_flight": now,
                "in_flight_max": most,
                "held": self._pauses.held(),
                "posts": self._book.calls_by_key("POST"),
                "asks": self._book.calls_by_key("GET"),
                "executions": self._book.executions_by_key(int(self._book.setting("stats_after", "0"))),
            }

    def _reset_stats(self, _order: Order) -> dict[str, Json]:
        self._in_flight.reset()
        with self._book.transaction():
            self._book.forget_calls()
            self._book.set_setting("stats_after", str(self._book.last_number()))
        return {}
