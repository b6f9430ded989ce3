"""Log-probabilities of choices by hf: those of each prompt and choice alone, whatever is shared and batched."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_models import CHATML, tiny_checkpoint

from judgebench.types import ChoiceReply, ChoiceRequest, ComparesChoices, Message, Model

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from judgebench.backends.chat import Chat  # noqa: E402
from judgebench.backends.continuations import Continuations, Continued, common  # noqa: E402
from judgebench.backends.hf import HFBackend  # noqa: E402
from judgebench.backends.hf_choices import Comparer  # noqa: E402
from judgebench.backends.loglikelihood import PLAIN, Abilities, abilities  # noqa: E402
from judgebench.backends.shared_prefix import grouped  # noqa: E402

NEAR = 1e-4
SHOTS = "Questions.\n\nQ: 1+1?\nA. 1\nB. 2\nAnswer: B\n\n" * 2
PROMPTS = [
    "",
    "a",
    SHOTS + "Q: 1+2?\nAnswer:",
    SHOTS + "Q: what is the capital of the country that lies there?\nAnswer:",
    SHOTS + "Q: 1+2?\nAnswer:",
    "Another subject.\n\n" + SHOTS + "Q: x\nAnswer:",
    "Another subject.\n\n" + SHOTS + "Q: a longer one, Grüße 世界\nAnswer:",
    "x" * 200,
    "end with space ",
]
LETTERS = ("A", "B", "C", "D")
TEXTS = ("two", "a much longer text than two", "Zürich", "t")


def backend(folder: Path, **options: Any) -> HFBackend:
    return HFBackend(Model(name="tiny", backend="hf", id=str(folder), options=options))


def user(content: str) -> tuple[Message, ...]:
    return (Message(role="user", content=content),)


def asking(prompts: Sequence[str], choices: tuple[str, ...], lead: str = " ") -> list[ChoiceRequest]:
    return [
        ChoiceRequest(id=str(number), messages=user(prompt), choices=choices, lead=lead)
        for number, prompt in enumerate(prompts)
    ]


def replies(to: Any, requests: Sequence[ChoiceRequest]) -> dict[str, ChoiceReply]:
    found = {request.id: reply for request, reply in to.loglikelihood(iter(requests))}
    assert sorted(found) == sorted(request.id for request in requests)
    return found


class Alone:
    """A checkpoint asked the plain way: one text at a time, every position's logits."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()

    def after(self, prompt: list[int], choice: list[int]) -> float:
        with torch.inference_mode():
            logits = self.model(torch.tensor([prompt + choice])).logits[0].double()
        logprobs = torch.log_softmax(logits, -1)
        return float(sum(logprobs[len(prompt) - 1 + step, token] for step, token in enumerate(choice)))

    def of(self, text: str, choice: str) -> float:
        """Of a text tokenised apart from the choice: right for a tokenizer that merges nothing."""
        return self.after(self.tokenizer.encode(text), self.tokenizer.encode(choice, add_special_tokens=False))


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[HFBackend, Alone]]:
    folder = tiny_checkpoint(architecture=request.param)
    opened = backend(folder)
    yield opened, Alone(folder)
    opened.close()


@pytest.mark.parametrize("choices", [LETTERS, TEXTS, ("A", "AB", "ABC"), ("A", "longer")], ids=lambda each: each[1])
def test_each_choice_has_the_log_probability_of_a_plain_full_forward(
    pair: tuple[HFBackend, Alone], choices: tuple[str, ...]
) -> None:
    opened, alone = pair
    found = replies(opened, asking(PROMPTS, choices))
    for number, prompt in enumerate(PROMPTS):
        lead = "" if not prompt or prompt.endswith(" ") else " "
        assert not found[str(number)].error
        for choice, score in zip(choices, found[str(number)].choices, strict=True):
            assert score.logprob == pytest.approx(alone.of(prompt, lead + choice), abs=NEAR)
            assert score.tokens == len((lead + choice).encode())
            assert score.bytes == len(choice.encode())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_it_holds_for_any_mixture_of_shared_beginnings_lengths_and_batch_sizes(
    pair: tuple[HFBackend, Alone], data: st.DataObject
) -> None:
    opened, alone = pair
    word = st.text("abc \n:é", max_size=30)
    beginnings = data.draw(st.lists(word, min_size=1, max_size=3))
    prompts = data.draw(
        st.lists(st.tuples(st.sampled_from(beginnings), word).map(lambda two: two[0] * 3 + two[1]), max_size=8)
    )
    choices = tuple(data.draw(st.lists(st.text("ABé ", min_size=1, max_size=9), min_size=2, max_size=4)))
    positions = data.draw(st.sampled_from([1, 50, 400, None]))
    opened._load()
    comparer = Comparer(opened._loaded, positions, {})
    continuations = Continuations(opened._load_chat())
    asked = [continuations.prepare(request) for request in asking(prompts, choices, lead="")]
    for one, sums in comparer.scores([each for each in asked if isinstance(each, Continued)]):
        prompt = str(one.request.messages[0].content)
        assert sums == pytest.approx([alone.of(prompt, choice) for choice in choices], abs=NEAR)


@pytest.mark.parametrize(
    "can", [PLAIN, Abilities(shares=True, branches=False), Abilities(shares=True, branches=True, longest=150)]
)
def test_every_way_of_computing_gives_the_same(pair: tuple[HFBackend, Alone], can: Abilities) -> None:
    opened, _ = pair
    expected = replies(opened, asking(PROMPTS, TEXTS))
    other = backend(Path(opened.model.id))
    other._load()
    _, comparer = other._choosing()
    comparer._can = can
    for key, reply in replies(other, asking(PROMPTS, TEXTS)).items():
        found = [score.logprob for score in reply.choices]
        assert found == pytest.approx([score.logprob for score in expected[key].choices], abs=NEAR)
    other.close()


def _changed(folder: Path, to: Path, model: Any) -> Path:
    """The tokenizer of one tiny checkpoint with another model."""
    shutil.copytree(folder, to)
    bars = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    model.save_pretrained(to)
    if bars:
        transformers.utils.logging.enable_progress_bar()
    return to


SMALL = {
    "vocab_size": 260, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 32, "max_position_embeddings": 2048, "initializer_range": 0.4,
    "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": None,
}  # fmt: skip


@pytest.mark.parametrize("window", [64, 4096])
def test_a_sliding_window_is_kept_and_what_fits_in_it_is_shared(window: int, tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = transformers.MistralForCausalLM(transformers.MistralConfig(**SMALL, sliding_window=window))
    folder = _changed(tiny_checkpoint(), tmp_path / "mistral", model)
    opened, alone = backend(folder), Alone(folder)
    assert abilities(model) == Abilities(shares=True, branches=True, longest=window // 2)
    for choices in (LETTERS, TEXTS):
        found = replies(opened, asking(PROMPTS, choices))
        for number, prompt in enumerate(PROMPTS):
            lead = "" if not prompt or prompt.endswith(" ") else " "
            wanted = [alone.of(prompt, lead + choice) for choice in choices]
            assert [score.logprob for score in found[str(number)].choices] == pytest.approx(wanted, abs=NEAR)


def test_what_a_model_does_to_its_logits_is_done(tmp_path: Path) -> None:
    torch.manual_seed(1)
    config = transformers.Gemma2Config(
        **SMALL, query_pre_attn_scalar=32, final_logit_softcapping=2.0, sliding_window=4096
    )
    folder = _changed(tiny_checkpoint(), tmp_path / "gemma", transformers.Gemma2ForCausalLM(config))
    opened, alone = backend(folder), Alone(folder)
    found = replies(opened, asking(PROMPTS[2:4], TEXTS))
    for number, prompt in enumerate(PROMPTS[2:4]):
        wanted = [alone.of(prompt, " " + choice) for choice in TEXTS]
        assert [score.logprob for score in found[str(number)].choices] == pytest.approx(wanted, abs=NEAR)
        assert all(score.logprob > -8 * score.tokens for score in found[str(number)].choices), "capped at 2"


def test_a_model_with_a_state_takes_the_plain_way() -> None:
    config = transformers.MambaConfig(vocab_size=260, hidden_size=32, num_hidden_layers=1, state_size=4)
    assert abilities(transformers.MambaForCausalLM(config)) == PLAIN


def test_only_the_positions_that_are_read_reach_the_output_head_and_shared_tokens_are_computed_once() -> None:
    opened = backend(tiny_checkpoint())
    opened._load()
    read, computed = [], []
    opened._loaded.lm_head.register_forward_hook(lambda module, inputs, output: read.append(output.shape[1]))
    opened._loaded.model.embed_tokens.register_forward_hook(
        lambda m, inputs, output: computed.append(inputs[0].numel())
    )
    prompts = [SHOTS + f"Q: {number}?\nAnswer:" for number in range(10)]
    replies(opened, asking(prompts, LETTERS))
    lead = len(" ")
    longer = 10 * 4  # the space is one token, the letter another: one short row for each choice
    assert sum(read) == 1 + 10 + longer
    shared = 1 + len(SHOTS + "Q: ")
    assert sum(computed) == shared + 10 * len("0?\nAnswer:") + longer * lead
    opened.close()


def test_letters_that_are_one_token_cost_nothing_beyond_the_prompt() -> None:
    opened = backend(tiny_checkpoint())
    opened._load()
    computed: list[int] = []
    opened._loaded.model.embed_tokens.register_forward_hook(
        lambda m, inputs, output: computed.append(inputs[0].numel())
    )
    replies(opened, asking(["Answer: "], LETTERS))
    assert computed == [1 + len("Answer: ")]


def test_where_memory_runs_out_a_batch_is_halved_and_only_what_fits_nowhere_fails(pair: Any) -> None:
    opened, _ = pair
    prompts = [*(SHOTS + f"Q: {number}?" for number in range(9)), "y" * 300]
    expected = replies(opened, asking(prompts, LETTERS))
    small = backend(Path(opened.model.id))
    small._load()
    sizes = []

    def full(module: Any, inputs: Any, named: dict[str, Any]) -> None:
        rows, width = named["input_ids"].shape
        sizes.append(rows)
        if rows > 2 or width > 290:
            raise torch.OutOfMemoryError("no more")

    small._loaded.register_forward_pre_hook(full, with_kwargs=True)
    _, comparer = small._choosing()
    comparer._can = PLAIN
    found = replies(small, asking(prompts, LETTERS))
    assert max(sizes) > 2
    assert found["9"].error.startswith("model: out of memory for this one prompt")
    for key in map(str, range(9)):
        wanted = [score.logprob for score in expected[key].choices]
        assert [score.logprob for score in found[key].choices] == pytest.approx(wanted, abs=NEAR)
    assert any("halved" in note for note in small.describe()["notes"])
    small.close()


def test_a_shared_beginning_that_does_not_fit_is_computed_with_each_prompt() -> None:
    opened = backend(tiny_checkpoint())
    expected = replies(opened, asking(PROMPTS, LETTERS))

    def full(module: Any, inputs: Any, named: dict[str, Any]) -> None:
        if named["input_ids"].shape[0] == 1 and named.get("past_key_values") is not None and named["use_cache"]:
            raise torch.OutOfMemoryError("no more")

    handle = opened._loaded.register_forward_pre_hook(full, with_kwargs=True)
    found = replies(opened, asking(PROMPTS[2:7], ("A ", "B ")))
    handle.remove()
    assert not any(reply.error for reply in found.values())
    again = replies(opened, asking(PROMPTS, LETTERS))
    assert again == expected
    opened.close()


def test_what_does_not_fit_is_said_and_the_others_are_answered() -> None:
    opened = backend(tiny_checkpoint(positions=128))
    found = replies(opened, [*asking(["x" * 200, "fine", "y" * 120], TEXTS), ChoiceRequest(
        id="one", messages=user("q"), choices=("A",))])  # fmt: skip
    assert found["0"].error == "context: 229 tokens of prompt and longest choice exceed the model's 128"
    assert found["2"].error.startswith("context: ")
    (alone,), (prompt,) = found["one"].choices, found["1"].choices[:1]
    assert (alone.tokens, alone.bytes, bool(prompt.tokens)) == (2, 1, True)
    assert len(found["1"].choices) == 4
    short = backend(tiny_checkpoint(), max_input_tokens=10)
    assert replies(short, asking(["x" * 10], LETTERS))["0"].error.startswith("context: the prompt has 11 tokens")
    bare = backend(tiny_checkpoint(special=False))
    assert replies(bare, asking([""], LETTERS))["0"].error.startswith("empty: ")


def test_hf_compares_choices_and_asks_for_no_model_without_requests() -> None:
    opened = backend(tiny_checkpoint())
    assert isinstance(opened, ComparesChoices)
    assert list(opened.loglikelihood([])) == []
    assert opened._loaded is None


# Tokens ------------------------------------------------------------------------------------------------------------


def merging(folder: Path, to: Path, merges: list[tuple[str, str]]) -> Path:
    """A tiny checkpoint whose tokenizer merges these, across any boundary."""
    read = json.loads((folder / "tokenizer.json").read_text())
    for left, right in merges:
        read["model"]["vocab"][left + right] = len(read["model"]["vocab"])
        read["model"]["merges"].append([left, right])
    torch.manual_seed(3)
    config = transformers.LlamaConfig(**{**SMALL, "vocab_size": len(read["model"]["vocab"])})
    _changed(folder, to, transformers.LlamaForCausalLM(config))
    (to / "tokenizer.json").write_text(json.dumps(read))
    return to


def test_a_merge_across_the_boundary_is_scored_from_the_same_token_for_every_choice(tmp_path: Path) -> None:
    folder = merging(tiny_checkpoint(), tmp_path / "merging", [("Ġ", "B"), (":", "ĠB")])
    opened, alone = backend(folder), Alone(folder)
    tokens = alone.tokenizer.convert_tokens_to_ids
    assert alone.tokenizer.tokenize("Answer: B") == [*"Answer", ":ĠB"]
    for prompt in ("Answer:", "Which?\nAnswer:"):
        [reply] = replies(opened, asking([prompt], ("A", "B"))).values()
        before = alone.tokenizer.encode(prompt)[:-1]
        wanted = [alone.after(before, tokens([":", "Ġ", "A"])), alone.after(before, tokens([":ĠB"]))]
        assert [score.logprob for score in reply.choices] == pytest.approx(wanted, abs=NEAR)
        assert [score.tokens for score in reply.choices] == [3, 1]


def test_a_space_at_the_end_of_the_prompt_is_no_second_space() -> None:
    opened, alone = backend(tiny_checkpoint()), Alone(tiny_checkpoint())
    [one] = replies(opened, asking(["Answer: "], LETTERS)).values()
    [other] = replies(opened, asking(["Answer:"], LETTERS)).values()
    assert one.choices[1].logprob == pytest.approx(alone.of("Answer: ", "B"), abs=NEAR)
    assert other.choices[1].logprob == pytest.approx(alone.of("Answer:", " B"), abs=NEAR)


@pytest.mark.parametrize(
    ("template", "between"),
    [(CHATML, ""), (CHATML.replace("{{ message.content }}<|im_end|>", " {{ message.content }}"), None)],
)
def test_a_choice_stands_where_the_template_puts_a_reply(template: str, between: str | None) -> None:
    folder = tiny_checkpoint(template)
    opened, alone = backend(folder), Alone(folder)
    [reply] = replies(opened, asking(["1+1?"], LETTERS)).values()
    head = alone.tokenizer.apply_chat_template(
        [{"role": "user", "content": "1+1?"}], tokenize=False, add_generation_prompt=True
    )
    lead = " " if between is None else between
    ids = alone.tokenizer.encode(head, add_special_tokens=False)
    wanted = [alone.after(ids, alone.tokenizer.encode(lead + letter, add_special_tokens=False)) for letter in LETTERS]
    assert [score.logprob for score in reply.choices] == pytest.approx(wanted, abs=NEAR)


def test_a_reasoning_block_that_the_template_opens_is_said_aloud() -> None:
    template = CHATML.replace("assistant\n{% endif", "assistant\n<think>\n{% endif")
    opened = backend(tiny_checkpoint(template))
    replies(opened, asking(["1+1?"], LETTERS))
    assert any("reasoning block" in note for note in opened.describe()["notes"])


@settings(max_examples=40, deadline=None)
@given(
    prompts=st.lists(st.text("ab:B \nÄ", max_size=20), min_size=1, max_size=8),
    choices=st.lists(st.text("ABb :\n", min_size=1, max_size=4), min_size=2, max_size=4, unique=True),
)
def test_tokenising_the_last_line_alone_is_tokenising_everything(prompts: list[str], choices: list[str]) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_checkpoint())
    chat = Chat(tokenizer)
    quick = Continuations(chat)
    for request in asking(prompts, tuple(choices)):
        full = Continuations(chat)
        full._short = False
        assert quick.prepare(request) == full.prepare(request)


# Groups ------------------------------------------------------------------------------------------------------------


def _cost(rows: list[list[int]], groups: Sequence[tuple[int, Sequence[int]]]) -> int:
    return sum(shared + sum(len(rows[place]) - shared for place in members) for shared, members in groups)


def _alike(rows: list[list[int]], members: Sequence[int]) -> int:
    shared = min(len(rows[place]) for place in members) - 1
    return min([shared, *(common(rows[members[0]], rows[place]) for place in members)])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=6), min_size=1, max_size=6))
def test_groups_hold_every_row_once_share_what_is_alike_and_cost_no_more_than_one_group_or_none(
    rows: list[list[int]],
) -> None:
    found = grouped(rows, least=1)
    everyone = list(range(len(rows)))
    assert sorted(place for group in found for place in group.members) == everyone
    for group in found:
        assert group.shared <= _alike(rows, group.members)
    cost = _cost(rows, [(group.shared, group.members) for group in found])
    assert cost <= _cost(rows, [(_alike(rows, everyone), everyone)])
    assert cost <= sum(map(len, rows))


def test_subjects_with_a_common_opening_are_groups_of_their_own() -> None:
    rows = [[0] * 20 + [subject] * 100 + [subject, item, item] for item in range(5, 9) for subject in (1, 2, 3)]
    rows.append([4] * 50)
    found = sorted((group.shared, len(group.members)) for group in grouped(rows))
    assert found == [(0, 1), (121, 4), (121, 4), (121, 4)]


def test_no_more_is_shared_than_a_limit_allows() -> None:
    rows = [[1] * 40 + [item] for item in range(3)]
    [group] = grouped(rows, limits=[40, 30, 40])
    assert group.shared == 30
