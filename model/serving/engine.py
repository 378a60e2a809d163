"""Many requests at once on one model: a request joins the batch when there is a free row and leaves when it is done.

One thread owns the model. Each turn it prefills one waiting request, alone, then moves all rows on by one token. A row
has its own cache length, generator and stops, so an answer does not depend on its neighbours beyond rounding. What does
not fit into the batch waits; what does not fit into the queue is refused.

    requests ─► queue (max_queue) ─► rows (max_rows) ─► sink(event), called in the engine's thread

Suffixes: B rows   V vocabulary.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ctllm.model.generate import draw
from ctllm.model.ragged_cache import RaggedCache, feed
from ctllm.model.serving.stop_text import TextStream
from ctllm.model.tokenizer import Tokenizer
from ctllm.model.transformer import Transformer
from ctllm.schemas.serve_config import ServeConfig
from ctllm.schemas.tuning_config import GenerateConfig


@dataclass(frozen=True)
class TokenScore:
    """A drawn token, its log-probability in nats before temperature and top-p, and the likeliest ones beside it."""

    token: int
    log_probability: float
    top: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Piece:
    """Text that became certain, with the tokens drawn since the piece before."""

    text: str
    scores: tuple[TokenScore, ...]


@dataclass(frozen=True)
class Finished:
    """The last event of an answer."""

    reason: Literal["stop", "length"]
    num_tokens: int
    """Drawn ones; the token that ended the answer is not among them."""


@dataclass(frozen=True)
class Failed:
    """The last event of a request that was given up."""

    kind: Literal["timeout", "stopped", "broken"]
    message: str


Event = Piece | Finished | Failed
Sink = Callable[[Event], None]


class FullQueueError(Exception):
    """The queue holds as many requests as it may."""


@dataclass(frozen=True)
class Request:
    """What is to be continued, and how."""

    prompt: list[int]
    """1 token at least, fewer than the context holds."""
    config: GenerateConfig
    stop_ids: frozenset[int]
    stop_texts: tuple[str, ...] = ()
    num_top: int | None = None
    """So many likeliest tokens stand beside each drawn one; None = no log-probabilities at all."""


@dataclass(eq=False)
class Ticket:
    """A request under way. `cancel` when nobody listens any more."""

    request: Request
    sink: Sink
    deadline: float
    is_cancelled: bool = False

    def cancel(self) -> None:
        """The engine drops it at its next turn; no event follows."""
        self.is_cancelled = True


@dataclass
class _Row:
    """A ticket in the batch."""

    ticket: Ticket
    text: TextStream
    generator: torch.Generator
    limit: int
    """Tokens that may be drawn."""
    unsent: list[TokenScore] = field(default_factory=list)

    @property
    def last_token(self) -> int:
        return self.text.tokens[-1]


class Engine:
    """The thread and its batch. Use as a context manager, or `start` and `stop`."""

    def __init__(self, model: Transformer, tokenizer: Tokenizer, *, config: ServeConfig) -> None:
        self.model, self.tokenizer, self.config = model, tokenizer, config
        self._like = torch.empty((), dtype=model.compute_dtype, device=next(model.parameters()).device)
        self._cache = RaggedCache.empty(
            model.config,
            num_sequences=config.max_rows,
            num_positions=model.config.context_length,
            like=self._like,
        )
        self._rows: list[_Row] = []
        self._waiting: deque[Ticket] = deque()
        self._changed = threading.Condition()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="ctllm-engine", daemon=True)

    def __enter__(self) -> "Engine":
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begins to work."""
        self._thread.start()

    def stop(self) -> None:
        """Gives up what is under way, with a Failed event each, and waits for the thread."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify()
        self._thread.join()

    def submit(self, request: Request, sink: Sink) -> Ticket:
        """Queues the request; events go to `sink`, called in the engine's thread. Raises FullQueueError."""
        ticket = Ticket(request, sink, time.monotonic() + self.config.timeout_s)
        with self._changed:
            if self._is_stopping or len(self._waiting) >= self.config.max_queue:
                raise FullQueueError(f"{len(self._waiting)} requests are waiting already")
            self._waiting.append(ticket)
            self._changed.notify()
        return ticket

    def num_busy(self) -> tuple[int, int]:
        """Requests in the batch and requests that wait."""
        return len(self._rows), len(self._waiting)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_stopping or self._waiting or self._rows)
                if self._is_stopping:
                    break
            try:
                self._turn()
            except Exception as error:  # whatever breaks (memory, a kernel) must not leave clients waiting for ever
                self._give_up(Failed("broken", f"{type(error).__name__}: {error}"))
        self._give_up(Failed("stopped", "the server is stopping"))

    @torch.no_grad()
    def _turn(self) -> None:
        self._drop_overdue()
        if len(self._rows) < self.config.max_rows and (ticket := self._next_waiting()):
            self._begin(ticket)
        if self._rows:
            hidden_B1D = feed(self.model, self._cache.rows(len(self._rows)), [[row.last_token] for row in self._rows])
            self._draw_all(self._logits(hidden_B1D[:, -1]))

    def _next_waiting(self) -> Ticket | None:
        with self._changed:
            return self._waiting.popleft() if self._waiting else None

    def _begin(self, ticket: Ticket) -> None:
        """Prefills the prompt and draws the first token."""
        request, number = ticket.request, len(self._rows)
        room = self.model.config.context_length - len(request.prompt)
        text = TextStream(self.tokenizer, request.stop_texts)
        generator = torch.Generator().manual_seed(request.config.seed)
        self._rows.append(_Row(ticket, text, generator, min(request.config.max_new_tokens, room)))
        alone = RaggedCache.empty(
            self.model.config, num_sequences=1, num_positions=len(request.prompt), like=self._like
        )
        hidden_1TD = feed(self.model, alone, [request.prompt])
        self._cache.copy_row(alone, source_row=0, row=number)
        if self._is_done(self._rows[number], self._logits(hidden_1TD[:, -1])[0]):
            self._remove(number)

    def _draw_all(self, logits_BV: Tensor) -> None:
        done = [number for number, row in enumerate(self._rows) if self._is_done(row, logits_BV[number])]
        for number in reversed(done):
            self._remove(number)

    def _logits(self, hidden_BD: Tensor) -> Tensor:
        """Of the tokens that exist: rows that pad the model's vocabulary are never drawn."""
        head_VD = self.model.head_weight_VD[: self.tokenizer.vocab_size]
        return F.linear(hidden_BD, head_VD.to(hidden_BD.dtype)).float().cpu()

    def _is_done(self, row: _Row, logits_V: Tensor) -> bool:
        """Draws a token, sends what is new, and says whether the row has ended."""
        request = row.ticket.request
        token = draw(logits_V, config=request.config, generator=row.generator)
        if token in request.stop_ids:
            return self._end(row, "stop")
        if request.num_top is not None:
            row.unsent.append(_score(logits_V, token, num_top=request.num_top))
        self._send(row, row.text.add(token))
        if row.text.is_stopped:
            return self._end(row, "stop")
        return len(row.text.tokens) >= row.limit and self._end(row, "length")

    def _end(self, row: _Row, reason: Literal["stop", "length"]) -> bool:
        self._send(row, row.text.finish(), is_last=not row.text.is_stopped)
        row.ticket.sink(Finished("stop" if row.text.is_stopped else reason, len(row.text.tokens)))
        return True

    def _send(self, row: _Row, text: str, *, is_last: bool = False) -> None:
        if text or (is_last and row.unsent):
            row.ticket.sink(Piece(text, tuple(row.unsent)))
            row.unsent.clear()

    def _remove(self, number: int) -> None:
        """Takes a row out of the batch; the last one moves to its place."""
        last = self._rows.pop()
        if number < len(self._rows):
            self._rows[number] = last
            self._cache.copy_row(self._cache, source_row=len(self._rows), row=number)

    def _drop_overdue(self) -> None:
        now = time.monotonic()
        overdue = Failed("timeout", f"no answer within {self.config.timeout_s:g} s")
        for number in reversed(range(len(self._rows))):
            ticket = self._rows[number].ticket
            if ticket.is_cancelled or ticket.deadline < now:
                self._remove(number)
                _tell(ticket, overdue)
        with self._changed:
            late = [ticket for ticket in self._waiting if ticket.is_cancelled or ticket.deadline < now]
            for ticket in late:
                self._waiting.remove(ticket)
        for ticket in late:
            _tell(ticket, overdue)

    def _give_up(self, failure: Failed) -> None:
        with self._changed:
            tickets = [row.ticket for row in self._rows] + list(self._waiting)
            self._rows.clear()
            self._waiting.clear()
        for ticket in tickets:
            _tell(ticket, failure)


def _tell(ticket: Ticket, failure: Failed) -> None:
    if not ticket.is_cancelled:
        ticket.sink(failure)


def _score(logits_V: Tensor, token: int, *, num_top: int) -> TokenScore:
    log_V = logits_V.double().log_softmax(0)
    values, tokens = log_V.topk(num_top) if num_top else (log_V[:0], log_V[:0])
    top = tuple((int(each), float(value)) for each, value in zip(tokens, values, strict=True))
    return TokenScore(token, float(log_V[token]), top)
