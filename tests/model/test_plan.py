"""The plan: nothing dropped, nothing doubled, nothing held out trained on, the same bytes every time."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ctllm.model.plan import Plan, make_plan, pack_best_fit, split_documents
from ctllm.model.token_shards import TokenShards
from ctllm.schemas.errors import AccountingError, ConfigError, InputError
from ctllm.schemas.files import read_json, write_json
from ctllm.schemas.mixture import group_quotas
from ctllm.schemas.training_config import PlanConfig

WriteShards = Callable[..., TokenShards]
CORPUS = [(lane, list(range(2, 2 + length))) for lane in ("zh", "en") for length in (3, 60, 10, 25, 7, 40, 1, 31, 32)]


def trained_positions(plan: Plan) -> Counter[tuple[int, int]]:
    """How often each (shard, position) is predicted in one pass over the plan."""
    positions: Counter[tuple[int, int]] = Counter()
    for number in range(plan.manifest.num_sequences):
        for shard, offset, length in plan.sequence(number).tolist():
            positions.update((shard, offset + place) for place in range(length))
    return positions


def held_out_positions(plan: Plan) -> set[tuple[int, int]]:
    """Positions of the held-out documents."""
    rows = plan.held_out.to_pylist()
    return {(row["shard"], row["offset"] + place) for row in rows for place in range(row["num_tokens"])}


def test_every_token_is_trained_on_once(write_shards: WriteShards, tmp_path: Path) -> None:
    """With equal lanes and one epoch the plan covers all tokens outside the held-out documents, each exactly once."""
    shards = write_shards(CORPUS)
    config = PlanConfig(context_length=32, lane_weights={"zh": 1, "en": 1}, max_epochs=1, held_out_share=0.2)
    manifest = make_plan(shards.directory, config=config, out=str(tmp_path / "plan"))
    plan = Plan(str(tmp_path / "plan"), shards=shards)
    positions, held_out = trained_positions(plan), held_out_positions(plan)
    everything = {(shard, place) for shard in (0, 1) for place in range(1, 1 + shards.manifest.shards[shard].tokens)}
    assert set(positions) == everything - held_out
    assert set(positions.values()) == {1}
    assert manifest.num_label_tokens == len(positions)
    assert {lane: each.held_out_documents > 0 for lane, each in manifest.lanes.items()} == {"en": True, "zh": True}
    assert manifest.padding_share == pytest.approx(1 - len(positions) / (manifest.num_sequences * 32), abs=1e-6)


def test_a_sequence_fits_and_holds_a_document_piece_once(write_shards: WriteShards, tmp_path: Path) -> None:
    """No sequence is longer than the context, also when short lanes are repeated; copies never share a sequence."""
    shards = write_shards(CORPUS[:12])
    config = PlanConfig(context_length=32, lane_weights={"zh": 1, "en": 1}, total_tokens=700, held_out_share=0.0)
    manifest = make_plan(shards.directory, config=config, out=str(tmp_path / "plan"))
    plan = Plan(str(tmp_path / "plan"), shards=shards)
    for number in range(manifest.num_sequences):
        segments = [tuple(segment) for segment in plan.sequence(number).tolist()]
        assert 0 < sum(length for _, _, length in segments) <= 32
        assert len(set(segments)) == len(segments)
    assert manifest.lanes["en"].epochs > 3
    assert manifest.lanes["en"].planned_share == pytest.approx(0.5, abs=0.1)


def test_equal_input_gives_equal_bytes(write_shards: WriteShards, tmp_path: Path) -> None:
    """Two plans of the same shards and config have the same digest; another seed trains in another order."""
    shards = write_shards(CORPUS)
    digests = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        manifest = make_plan(
            shards.directory, config=PlanConfig(context_length=32, seed=seed), out=str(tmp_path / name)
        )
        digests.append((manifest.plan_digest, manifest.files["segments.npy"], manifest.files["held_out.parquet"]))
    assert digests[0] == digests[1]
    assert digests[0][0] != digests[2][0]
    assert digests[0][1] != digests[2][1]
    assert digests[0][2] == digests[2][2], "the held-out documents do not depend on the seed"


def test_missing_lanes_are_reported(write_shards: WriteShards, tmp_path: Path) -> None:
    """A lane with a weight but without documents is named, and its weight goes to the others."""
    shards = write_shards(CORPUS)
    manifest = make_plan(shards.directory, config=PlanConfig(context_length=32), out=str(tmp_path / "plan"))
    assert manifest.missing_lanes == ("code",)
    assert sum(lane.wanted_share for lane in manifest.lanes.values()) == pytest.approx(1, abs=1e-3)


def test_later_passes_have_another_order(write_shards: WriteShards, tmp_path: Path) -> None:
    """Each pass over the plan holds every sequence once, in an order of its own that is always the same."""
    shards = write_shards(CORPUS)
    make_plan(shards.directory, config=PlanConfig(context_length=32), out=str(tmp_path / "plan"))
    plan, again = (Plan(str(tmp_path / "plan"), shards=shards) for _ in range(2))
    count = plan.manifest.num_sequences
    passes = [
        [plan.sequence(number).tolist() for number in range(start, start + count)] for start in (0, count, 2 * count)
    ]
    assert sorted(passes[0]) == sorted(passes[1]) == sorted(passes[2])
    assert passes[0] != passes[1] != passes[2]
    assert again.sequence(2 * count + 3).tolist() == passes[2][3]


def test_sources_are_weighted_and_capped(write_shards: WriteShards, tmp_path: Path) -> None:
    """Inside a lane a source counts by size and weight, up to its own epochs; the manifest says what each gives."""
    documents = [(f"zh/{source}", list(range(2, 12))) for source in ("web", "wiki", "ads") for _ in range(40)]
    shards = write_shards(documents)
    config = PlanConfig(
        context_length=32,
        lane_weights={"zh": 1},
        source_weights={"wiki": 5, "ads": 0},
        source_max_epochs={"wiki": 3},
        total_tokens=2200,
        held_out_share=0,
    )
    manifest = make_plan(shards.directory, config=config, out=str(tmp_path / "plan"))
    sources = manifest.sources["zh"]
    assert {name: each.planned_tokens for name, each in sources.items()} == {"ads": 0, "web": 880, "wiki": 1320}
    assert {name: each.epochs for name, each in sources.items()} == {"ads": 0, "web": 2, "wiki": 3}
    assert manifest.num_documents == 200
    assert manifest.num_split_documents == 0
    for key in ("source_weights", "source_max_epochs"):
        wrong = PlanConfig.model_validate({key: {"wikl": 2}})
        with pytest.raises(ConfigError, match=f"plan, {key}: no source 'wikl' in the text; there are ads, web, wiki"):
            make_plan(shards.directory, config=wrong, out=str(tmp_path / "wrong"))


CORPORA = st.lists(
    st.tuples(st.sampled_from(["zh/a", "zh/b", "en/a", "code/c"]), st.integers(0, 70)), min_size=4, max_size=25
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(corpus=CORPORA, data=st.data())
def test_no_token_is_lost_or_doubled(
    write_shards: WriteShards, tmp_path: Path, corpus: list[tuple[str, int]], data: st.DataObject
) -> None:
    """Whatever the documents and the mixture: documents are in the plan whole, each as often as its source is repeated.

    In one source no document is trained on twice more than another, no held-out one ever, and a source gives its quota
    to less than one document.
    """
    shards = write_shards([(place, [2] * length) for place, length in corpus])
    weight, total = data.draw(st.floats(0.1, 4)), data.draw(st.none() | st.integers(300, 3000))
    config = PlanConfig(
        context_length=data.draw(st.sampled_from([8, 32, 100])),
        source_weights={corpus[0][0].split("/")[1]: weight},
        max_epochs=data.draw(st.sampled_from([1, 2.5])),
        total_tokens=total,
        held_out_share=0.1,
    )
    try:
        manifest = make_plan(shards.directory, config=config, out=str(tmp_path / "plan"))
    except ConfigError as error:
        assume("nothing to train on" not in str(error))  # all held out
        raise
    plan = Plan(str(tmp_path / "plan"), shards=shards)
    positions, held_out = trained_positions(plan), held_out_positions(plan)
    assert not held_out & set(positions)
    assert positions.total() == manifest.num_label_tokens
    repeats: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for shard in range(len(shards.manifest.shards)):
        for row in shards.index(shard).to_pylist():
            counts = {positions[shard, row["offset"] + place] for place in range(row["num_tokens"])}
            assert len(counts) == 1, "a document is trained on whole"
            if (shard, row["offset"]) not in held_out:
                repeats.setdefault((row["lane"], row["source"]), []).append((counts.pop(), row["num_tokens"]))
    available = {group: sum(length for _, length in rows) for group, rows in repeats.items()}
    quotas = group_quotas(
        available,
        mixture=config,
        total=total or sum(available.values()),
        epochs={},
        max_epochs=config.max_epochs,
    )
    for group, rows in repeats.items():
        assert max(count for count, _ in rows) - min(count for count, _ in rows) <= 1
        taken = sum(count * length for count, length in rows)
        assert quotas[group] <= taken < quotas[group] + max(length for _, length in rows)
        assert manifest.sources[group[0]][group[1]].planned_tokens == taken


def test_changed_shards_are_refused(write_shards: WriteShards, tmp_path: Path) -> None:
    """A token that changed on the disk stops the plan: the tokens of a training are those that were counted."""
    shards = write_shards(CORPUS)
    path = Path(shards.directory) / "tokens" / "zh-part-00000.bin"
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    path.write_bytes(content)
    with pytest.raises(AccountingError, match=r"zh-part-00000\.bin: missing or changed since it was tokenized"):
        make_plan(shards.directory, config=PlanConfig(context_length=32), out=str(tmp_path / "plan"))


def test_misfits_are_refused(write_shards: WriteShards, tmp_path: Path) -> None:
    """No plan, a damaged plan, a plan of other shards and a plan without any tokens are each named."""
    shards, others = write_shards(CORPUS), write_shards(CORPUS[:4], "others")
    out = str(tmp_path / "plan")
    with pytest.raises(InputError, match="run `ctllm plan` first"):
        Plan(out, shards=shards)
    make_plan(shards.directory, config=PlanConfig(context_length=32), out=out)
    with pytest.raises(AccountingError, match="made for other token shards"):
        Plan(out, shards=others)
    with (tmp_path / "plan" / "segments.npy").open("ab") as file:
        file.write(b"x")
    with pytest.raises(AccountingError, match=r"segments\.npy: missing, or differs"):
        Plan(out, shards=shards)
    (tmp_path / "plan" / "segments.npy").unlink()
    with pytest.raises(AccountingError, match=r"segments\.npy: missing, or differs"):
        Plan(out, shards=shards)
    with pytest.raises(ConfigError, match="nothing to train on"):
        make_plan(shards.directory, config=PlanConfig(lane_weights={"code": 1.0}), out=out)


def test_manifests_of_another_version_are_refused(write_shards: WriteShards, tmp_path: Path) -> None:
    """A plan or shards whose manifest lacks a key name it, and the command that makes them anew."""
    shards, out = write_shards(CORPUS), str(tmp_path / "plan")
    make_plan(shards.directory, config=PlanConfig(context_length=32), out=out)
    for directory, key, message in (
        (out, "sources", r"sources: Field required\); run `ctllm plan` again"),
        (shards.directory, "dtype", r"dtype: Field required\); run `ctllm tokenize` again"),
    ):
        values = {name: value for name, value in read_json(f"{directory}/manifest.json").items() if name != key}
        write_json(f"{directory}/manifest.json", values)
        with pytest.raises(InputError, match=message):
            Plan(out, shards=TokenShards(shards.directory))


@given(lengths=st.lists(st.integers(1, 100)), longest=st.integers(1, 40))
def test_pieces_cover_documents(lengths: list[int], longest: int) -> None:
    """Pieces follow each other without gap or overlap and are as long as they may be, but for the last."""
    offsets = np.cumsum([1, *lengths])[:-1].astype(np.int64)
    pieces = split_documents(np.zeros(len(lengths), np.int64), offsets, np.array(lengths, np.int64), longest=longest)
    covered = [place for _, offset, length in pieces.tolist() for place in range(offset, offset + length)]
    assert covered == list(range(1, 1 + sum(lengths)))
    assert len(pieces) == sum(-(-length // longest) for length in lengths)


@given(lengths=st.lists(st.integers(1, 16)))
def test_packing_is_best_fit_decreasing(lengths: list[int]) -> None:
    """Every piece is in one group, no group overflows, and the groups are those of a plain search for the fullest."""
    groups = pack_best_fit(np.array(lengths, np.int64), capacity=16)
    rooms: list[int] = []
    for length in sorted(lengths, reverse=True):
        fitting = [room for room in rooms if room >= length]
        if fitting:
            rooms.remove(min(fitting))
            rooms.append(min(fitting) - length)
        else:
            rooms.append(16 - length)
    assert sorted(piece for group in groups for piece in group) == list(range(len(lengths)))
    assert sorted(16 - sum(lengths[piece] for piece in group) for group in groups) == sorted(rooms)
