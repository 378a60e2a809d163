"""The batching engine: answers are those a request gets alone, and limits hold."""

import queue
import threading
from collections.abc import Callable

import pytest

from ctllm.model.checkpoint import load_model
from ctllm.model.generate import generate
from ctllm.model.serving.engine import Engine, Event, Failed, Finished, FullQueueError, Piece, Request
from ctllm.model.tokenizer import Tokenizer
from ctllm.model.transformer import Transformer
from ctllm.schemas.serve_config import ServeConfig
from ctllm.schemas.tuning_config import GenerateConfig

GREEDY = GenerateConfig(max_new_tokens=12, temperature=0)
Loaded = tuple[Transformer, Tokenizer]


@pytest.fixture(scope="module")
def loaded(make_checkpoint: Callable[..., str]) -> Loaded:
    """An untrained model that has opinions, and its tokenizer."""
    checkpoint = make_checkpoint(init_std=0.3)
    return load_model(checkpoint)[0], Tokenizer(checkpoint)


def outcome(events: "queue.SimpleQueue[Event]") -> tuple[str, Finished | Failed, list[int]]:
    """Text, last event and tokens of an answer."""
    text, tokens = "", []
    while isinstance(event := events.get(timeout=60), Piece):
        text += event.text
        tokens += [score.token for score in event.scores]
    return text, event, tokens


def test_neighbours_change_nothing(loaded: Loaded) -> None:
    """Forty requests of many lengths, greedy and drawn, through four rows: each gets the tokens that it gets alone."""
    model, tokenizer = loaded
    requests = [
        Request([1, *range(5, 6 + number % 17)], config, frozenset(), num_top=0)
        for number in range(40)
        for config in [GREEDY.model_copy(update={"max_new_tokens": 1 + number % 9, "temperature": number % 2})]
    ]
    with Engine(model, tokenizer, config=ServeConfig(max_rows=4)) as engine:
        answers = []
        for request in requests:
            answers.append(queue.SimpleQueue[Event]())
            engine.submit(request, answers[-1].put)
        for request, events in zip(requests, answers, strict=True):
            (alone,) = generate(
                model, [request.prompt], config=request.config, stops=frozenset(), vocab_size=tokenizer.vocab_size
            )
            text, end, tokens = outcome(events)
            assert (tokens, text) == (alone.tokens, tokenizer.decode(alone.tokens))
            assert end == Finished("length", request.config.max_new_tokens)


def test_a_full_queue_and_cancelled_requests(loaded: Loaded) -> None:
    """What does not fit into rows and queue is refused; who leaves makes room; who waits is answered."""
    model, tokenizer = loaded
    long = Request([1, 9], GREEDY.model_copy(update={"max_new_tokens": 126}), frozenset())
    short, answers = Request([1, 7], GREEDY, frozenset()), queue.SimpleQueue[Event]()
    with Engine(model, tokenizer, config=ServeConfig(max_rows=1, max_queue=1)) as engine:
        begun, go_on = threading.Event(), threading.Event()

        def hold(_event: Event) -> None:
            begun.set()
            go_on.wait(60)

        running = engine.submit(long, hold)
        assert begun.wait(60)
        engine.submit(short, answers.put)
        with pytest.raises(FullQueueError, match="1 requests are waiting"):
            engine.submit(short, answers.put)
        running.cancel()
        go_on.set()
        assert outcome(answers)[1] == Finished("length", 12)


def test_what_is_under_way_is_given_up(loaded: Loaded) -> None:
    """Past its deadline a request fails; when the engine stops, so do the others. Nobody waits for ever."""
    model, tokenizer = loaded
    answers = queue.SimpleQueue[Event]()
    with Engine(model, tokenizer, config=ServeConfig(timeout_s=1e-9)) as engine:
        engine.submit(Request([1, 7], GREEDY, frozenset()), answers.put)
        assert outcome(answers)[1] == Failed("timeout", "no answer within 1e-09 s")
    endless = Request([1, 7], GREEDY.model_copy(update={"max_new_tokens": 126}), frozenset())
    begun = threading.Event()
    engine = Engine(model, tokenizer, config=ServeConfig(max_rows=1))
    engine.start()
    engine.submit(endless, lambda _event: begun.wait(0.1))  # a slow listener, so that the second still waits
    engine.submit(endless, answers.put)
    engine.stop()
    assert outcome(answers)[1] == Failed("stopped", "the server is stopping")


def test_a_broken_turn_fails_its_requests_only(loaded: Loaded) -> None:
    """A request that the model cannot compute fails with a reason, and the next is answered."""
    model, tokenizer = loaded
    answers = queue.SimpleQueue[Event]()
    with Engine(model, tokenizer, config=ServeConfig()) as engine:
        engine.submit(Request([999_999], GREEDY, frozenset()), answers.put)
        end = outcome(answers)[1]
        assert isinstance(end, Failed)
        assert end.kind == "broken"
        engine.submit(Request([1, 7], GREEDY, frozenset()), answers.put)
        assert isinstance(outcome(answers)[1], Finished)
