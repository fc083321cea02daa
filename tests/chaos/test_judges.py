"""Each judge is content with what is right, and catches what is seeded."""

from __future__ import annotations

from dataclasses import replace

import pytest
from chaos.asking import Answer, Question
from chaos.judges import answers, effects, memory, rates, receipts
from chaos.judges.memory import MIB
from chaos.producing import Sent
from chaos.replay import FINAL, Outcome, differences
from chaos.streams import Stored
from chaos.vitals import Weight

from labelstream.events.annotation import AnnotationSettled
from labelstream.events.batch import BatchAugmented, Range
from labelstream.events.model import ModelExported, ModelPromoted
from labelstream.events.training import DatasetRef, Metrics, TrainingFinished, TrainingRequested
from labelstream.values import FileRef, Position

SENT = [Sent(f"m{n}", f"body {n}", "created", float(n)) for n in range(4)]
STORED = [Stored(n + 10, one.id, one.body) for n, one in enumerate(SENT)]
DIGEST = "0" * 64
FILE = FileRef(key="k", sha256=DIGEST, size_bytes=1)
METRICS = Metrics(map50=0.1, map50_95=0.1, precision=0.1, recall=0.1, images=1)
DATASET = DatasetRef(
    id="d", description=FILE, cut=Position(stream="annotation-events", offset=3), samples={}, test_images=1
)


def receipt(offset: int) -> AnnotationSettled:
    number = offset - 10
    place = Position(stream="annotations", offset=offset)
    return AnnotationSettled(input=place, message_id=f"m{number}", message_key="k", wire="native", outcomes=())


RECEIPTS = [receipt(one.offset) for one in STORED]


class TestReceipts:
    def test_each_message_with_its_one_receipt_is_right(self) -> None:
        assert list(receipts.messages(SENT, STORED, over=True)) == []
        assert list(receipts.receipts(STORED, RECEIPTS, over=True)) == []
        assert list(receipts.received(SENT, [one.id for one in SENT])) == []

    def test_what_is_still_to_come_is_right_until_it_is_over(self) -> None:
        assert list(receipts.messages(SENT, STORED[:2], over=False)) == []
        assert list(receipts.receipts(STORED, RECEIPTS[:2], over=False)) == []

    @pytest.mark.parametrize("over", [False, True])
    def test_a_lost_receipt_is_caught(self, over: bool) -> None:
        (wrong,) = receipts.receipts(STORED, [RECEIPTS[0], *RECEIPTS[2:]], over=over)
        assert wrong == "the message at 11 (m1) has no receipt"

    def test_a_receipt_that_never_came_is_caught_at_the_end(self) -> None:
        assert len(list(receipts.receipts(STORED, RECEIPTS[:-1], over=True))) == 1

    @pytest.mark.parametrize("over", [False, True])
    def test_a_double_receipt_is_caught(self, over: bool) -> None:
        (wrong,) = receipts.receipts(STORED, [*RECEIPTS[:2], *RECEIPTS[1:]], over=over)
        assert wrong == "the message at 11 has 2 receipts"

    def test_receipts_in_another_order_are_caught(self) -> None:
        turned = [RECEIPTS[1], RECEIPTS[0], *RECEIPTS[2:]]
        assert list(receipts.receipts(STORED, turned, over=True)) == ["receipts are not in the order of their messages"]

    def test_a_receipt_of_another_message_is_caught(self) -> None:
        other = RECEIPTS[1].model_copy(update={"message_id": "m3"})
        (wrong,) = receipts.receipts(STORED, [RECEIPTS[0], other, *RECEIPTS[2:]], over=True)
        assert "names m3" in wrong

    def test_a_lost_message_is_caught(self) -> None:
        (wrong,) = receipts.messages(SENT, STORED[:-1], over=True)
        assert "some are lost" in wrong

    def test_a_message_that_is_stored_twice_is_caught(self) -> None:
        (wrong,) = receipts.messages(SENT, [*STORED[:2], *STORED[1:]], over=False)
        assert "sent as m2, and the stream holds m1" in wrong

    def test_a_message_with_another_content_is_caught(self) -> None:
        (wrong,) = receipts.messages(SENT, [replace(STORED[0], body="other"), *STORED[1:]], over=False)
        assert wrong.startswith("message 0")

    def test_a_receipt_that_the_producer_did_not_hear_of_is_caught(self) -> None:
        (wrong,) = receipts.received(SENT, ["m0", "m1", "m3"])
        assert wrong == "the producer heard too few receipts of m2"


def batch(first: int, last: int) -> BatchAugmented:
    return BatchAugmented(input=Range(stream="annotation-events", first=first, last=last), recipe=DIGEST)


def requested(job: str) -> TrainingRequested:
    return TrainingRequested(job=job, cause="policy", dataset=DATASET, recipe={}, recipe_digest=DIGEST)


def finished(job: str) -> TrainingFinished:
    return TrainingFinished(
        job=job, attempt=1, dataset=DATASET, weights=FILE, architecture=FILE, best_epoch=1, validation=METRICS,
        test=METRICS,
    )  # fmt: skip


def exported(job: str, offset: int = 1) -> ModelExported:
    place = Position(stream="training-events", offset=offset)
    return ModelExported(
        model=f"model of {job}", input=place, job=job, dataset_id="d", manifest=FILE, signature=FILE, artifacts=(),
        test=METRICS,
    )  # fmt: skip


def promoted(job: str, number: int) -> ModelPromoted:
    return ModelPromoted(
        model=f"model of {job}", number=number, manifest=FILE, signature=FILE, statement="", statement_signature="",
        reason="",
    )  # fmt: skip


class TestEffects:
    def test_one_effect_of_each_cause_is_right(self) -> None:
        assert list(effects.batches([batch(0, 3), batch(4, 4), batch(5, 9)])) == []
        assert list(effects.trainings([requested("a"), requested("b"), finished("a")])) == []
        assert list(effects.models([exported("a"), promoted("a", 1), promoted("a", 3)], [finished("a")])) == []

    @pytest.mark.parametrize(
        ("second", "wrong"),
        [
            (batch(0, 3), "a batch answers 0 to 3, and 4 was next"),
            (batch(6, 9), "a batch answers 6 to 9, and 4 was next"),
        ],
        ids=["twice", "gap"],
    )
    def test_a_batch_that_does_not_follow_the_one_before_is_caught(self, second: BatchAugmented, wrong: str) -> None:
        assert list(effects.batches([batch(0, 3), second])) == [wrong]

    def test_a_training_that_was_requested_or_ended_twice_is_caught(self) -> None:
        assert list(effects.trainings([requested("a"), requested("a")])) == ["training a was requested 2 times"]
        assert list(effects.trainings([requested("a"), finished("a"), finished("a")])) == ["training a ended 2 times"]

    def test_a_training_that_became_two_models_is_caught(self) -> None:
        wrong = list(effects.models([exported("a"), exported("a")], [finished("a")]))
        assert len(wrong) == 2

    def test_a_model_of_no_finished_training_is_caught(self) -> None:
        (wrong,) = effects.models([exported("a")], [])
        assert "did not finish" in wrong

    def test_a_promotion_whose_number_does_not_rise_is_caught(self) -> None:
        (wrong,) = effects.models([promoted("a", 2), promoted("b", 2)], [])
        assert wrong == "promotion 2 came after promotion 2"

    def test_what_is_begun_and_not_done_is_waited_for(self) -> None:
        waits = list(effects.unfinished([requested("a"), requested("b"), finished("b")], []))
        assert waits == ["training a has not ended", "training b has no model yet"]
        assert list(effects.unfinished([requested("a"), finished("a")], [exported("a")])) == []


FOUND = ((1, 0.9, 10.0, 10.0, 20.0, 20.0), (0, 0.5, 1.0, 2.0, 3.0, 4.0))
ANSWER = Answer("model of a", 1, "d", "onnx-fp32", FOUND)
QUESTION = Question(0, 1.0, 1.1, ANSWER)
OFFLINE = {("model of a", "onnx-fp32", 0): FOUND}


def moved(by: float) -> Question:
    (kind, sure, x1, *rest), second = FOUND
    return replace(QUESTION, answer=replace(ANSWER, found=((kind, sure, x1 + by, *rest), second)))


class TestAnswers:
    def test_the_offline_answer_is_right(self) -> None:
        assert list(answers.answers([QUESTION, replace(QUESTION, answer=None)], OFFLINE)) == []
        assert list(answers.promoted([QUESTION], [promoted("a", 1)], [exported("a")])) == []

    def test_rounding_is_right_and_its_size_is_told(self) -> None:
        assert list(answers.answers([moved(0.001)], OFFLINE)) == []
        assert answers.farthest([moved(0.001)], OFFLINE) == pytest.approx(0.001)

    @pytest.mark.parametrize(
        ("found", "wrong"),
        [
            (FOUND[:1], "1 boxes, and 2 offline"),
            (((2, *FOUND[0][1:]), FOUND[1]), "class 2, and 1 offline"),
            (((1, 0.8, *FOUND[0][2:]), FOUND[1]), "confidence 0.8, and 0.9 offline"),
            (((1, 0.9, 10.5, 10.0, 20.0, 20.0), FOUND[1]), "a corner is off by 0.5 pixels"),
        ],
        ids=["missing", "class", "confidence", "corner"],
    )
    def test_a_wrong_answer_is_caught(self, found: tuple[answers.Found, ...], wrong: str) -> None:
        other = replace(QUESTION, answer=replace(ANSWER, found=found))
        assert list(answers.answers([other], OFFLINE)) == [f"image 0 by model model of a (onnx-fp32): {wrong}"]
        assert list(answers.Repeats().judge([QUESTION, other])) != []

    def test_an_answer_of_a_model_that_could_not_be_asked_offline_is_caught(self) -> None:
        (wrong,) = answers.answers([QUESTION], {})
        assert "no offline answer" in wrong

    def test_many_wrong_answers_are_counted(self) -> None:
        wrong = list(answers.answers([moved(1.0)] * 9, OFFLINE))
        assert len(wrong) == answers.MOST + 1
        assert wrong[-1].startswith("4 more")

    def test_a_model_that_never_served_or_has_another_dataset_is_caught(self) -> None:
        assert len(list(answers.promoted([QUESTION], [promoted("b", 1)], [exported("a")]))) == 1
        elsewhere = replace(QUESTION, answer=replace(ANSWER, dataset="e"))
        assert len(list(answers.promoted([elsewhere], [promoted("a", 1)], [exported("a")]))) == 1

    def test_repeats_are_judged_once_and_stay_wrong(self) -> None:
        judge = answers.Repeats()
        assert list(judge.judge([QUESTION])) == []
        assert len(list(judge.judge([QUESTION, moved(1.0)]))) == 1
        assert len(list(judge.judge([QUESTION, moved(1.0), QUESTION]))) == 1


def questions(answered: int, given_up: int) -> list[Question]:
    return [QUESTION] * answered + [replace(QUESTION, answer=None, problem="Away")] * given_up


class TestRates:
    def test_a_rate_of_995_in_a_thousand_is_right_and_one_below_is_caught(self) -> None:
        assert list(rates.rates(rates.rate(questions(995, 5), []))) == []
        assert list(rates.rates(rates.rate(questions(994, 6), []))) == [
            "99.40% of 1000 predictions were answered, and 99.5% are wanted"
        ]

    def test_what_is_asked_while_inference_is_down_does_not_count(self) -> None:
        down = [(5.0, 10.0)]
        lost = [replace(QUESTION, asked=7.0, answer=None)] * 50
        found = rates.rate([*questions(100, 0), *lost], down)
        assert (found.asked, found.answered, found.asked_in_all) == (100, 100, 150)

    def test_a_run_without_a_question_is_caught(self) -> None:
        assert list(rates.rates(rates.rate([], []))) == ["nothing was asked while inference was up"]


def life(*held_mib: float, pid: int = 1) -> list[Weight]:
    return [Weight(10.0 * number, int(held * MIB), pid) for number, held in enumerate(held_mib)]


class TestMemory:
    def test_a_program_that_stays_as_it_is_is_right(self) -> None:
        assert list(memory.memory({"inference": life(*[300] * 100)})) == []

    def test_growth_is_caught(self) -> None:
        (wrong,) = memory.memory({"inference": life(*(300 + 3 * n for n in range(100)))})
        assert wrong.startswith("inference grew from ")

    def test_growth_from_life_to_life_is_none(self) -> None:
        lives = [*life(*[200] * 20, pid=1), *life(*[400] * 20, pid=2)]
        assert list(memory.memory({"inference": lives})) == []

    def test_a_program_beyond_its_limit_is_caught(self) -> None:
        (wrong,) = memory.memory({"exporter-serve": life(100, 700, 100)})
        assert wrong == "exporter-serve held 700 MiB, and 600 are the limit"


class TestReplay:
    COURSE = Outcome([{"outcomes": ["recorded"]}, {"outcomes": ["edited"]}], {1: "aaa", FINAL: "bbb"})

    def test_the_same_course_is_right(self) -> None:
        assert list(differences(self.COURSE, self.COURSE)) == []

    def test_another_receipt_and_another_dataset_are_caught(self) -> None:
        other = Outcome([self.COURSE.receipts[0], {"outcomes": ["rejected"]}], {1: "aaa", FINAL: "ccc"})
        receipt, dataset = differences(self.COURSE, other)
        assert "receipt 1" in receipt
        assert dataset == "the dataset of everything is bbb, and ccc in the replay"

    def test_a_missing_receipt_is_caught(self) -> None:
        (wrong,) = differences(self.COURSE, Outcome(self.COURSE.receipts[:1], self.COURSE.datasets))
        assert wrong == "2 receipts, and 1 in the replay"
