"""Playing the schedule: rounds of faults until the time is up, and the outages among them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from chaos.alarms import Alarms
from chaos.diary import Back, Diary, Done
from chaos.evidence import Evidence
from chaos.outages import NO_MODEL, NO_MODEL_S, OUTAGES, Outage, round_of
from chaos.processes import left
from chaos.schedule import Fault, Round, schedule
from chaos.stage import Stage
from chaos.vitals import Vitals
from labelstream_local.services import SERVERS

WARM_S = 20.0  # before the first fault: a broker that is killed sooner may forget its queues
# After healing. Seconds are enough on a machine of our own. On one that others fill as well each of the eighty round
# trips of a start waits for a processor at every step: it took 70 s once.
READY_WITHIN_S = 180.0
INFERENCE = "inference"
STORE_PROGRAM = "weed"  # as the system calls it


@dataclass(frozen=True)
class Disturbing:
    """Lets faults come."""

    stage: Stage
    vitals: Vitals
    diary: Diary
    evidence: Evidence
    alarms: Alarms | None = None  # given: long faults come, too, which must raise alerts
    _kept: set[str] = field(default_factory=set)  # left alone for now

    async def run(self, seed: int, minutes: float) -> None:
        """Play until the time is up; everything is healed then."""
        begun = time.monotonic()
        holding = asyncio.create_task(self._hold_the_first_model(self.alarms)) if self.alarms else None
        await asyncio.sleep(WARM_S)
        self.evidence.add(await asyncio.to_thread(lambda: list(self._round_about())))
        outages = list(OUTAGES) if self.alarms else []
        for each in schedule(seed, self.stage.menu):
            if time.monotonic() - begun >= minutes * 60:
                break
            if outages and time.monotonic() - begun >= outages[0].at * minutes * 60:
                await self._play_outage(outages.pop(0), each.number)
            await self._play(each)
        if holding is not None:
            await holding

    def _round_about(self) -> Iterator[str]:
        """Yield who reaches a server without a proxy; the servers reach each other, and themselves."""
        programs = self.stage.stack.supervisor.processes().values()
        servers = {state.pid for state in programs if state.name in SERVERS}
        others = (process for process in left(self.stage.stack) if process.pid not in servers)
        yield from self.stage.walls.round_about(process for process in others if process.name() != STORE_PROGRAM)

    async def _hold_the_first_model(self, alarms: Alarms) -> None:
        """Let no model serve, and leave inference alone, until somebody would be called."""
        self.diary.tell(f"inference is kept from the store until {NO_MODEL.name} fires, so that no model serves")
        alarms.expect([NO_MODEL], time.time())
        await self.stage.walls.hold(INFERENCE, "seaweedfs")
        self._kept.add(INFERENCE)
        try:
            async with asyncio.timeout(NO_MODEL_S):
                while not alarms.has_fired(NO_MODEL):  # noqa: ASYNC110  # another server decides
                    await asyncio.sleep(1)
        except TimeoutError:
            self.diary.tell(f"{NO_MODEL.name} did not fire in {NO_MODEL_S:.0f} s")
        finally:
            self._kept.discard(INFERENCE)
            await self.stage.walls.release(INFERENCE, "seaweedfs")
            self.diary.tell("inference may have its model")

    async def _play_outage(self, outage: Outage, number: int) -> None:
        """Play a round that somebody has to be called for."""
        if self.alarms is not None:
            self.alarms.expect(outage.expects, time.time())
        await self._play(round_of(outage, number))

    async def _play(self, each: Round) -> None:
        """Do the faults of a round, heal them, and see everything come back."""
        async with asyncio.TaskGroup() as tasks:
            for fault in each.faults:
                tasks.create_task(self._suffer(each, fault))
        if each.is_patient:
            await self._see_it_come_back(each)
        await asyncio.sleep(each.rest_s)

    async def _suffer(self, each: Round, fault: Fault) -> None:
        await asyncio.sleep(fault.after_s)
        if fault.target in self._kept:
            self.diary.tell(f"{each.number:3}  left out: {fault}")
            return
        done = Done(fault, each.number, time.time())
        self.diary.done.append(done)
        self.diary.tell(f"{each.number:3}  {fault}")
        try:
            await self.stage.faults.do(fault)
            done.hit = time.time()
            await asyncio.sleep(fault.lasts_s)
        except TimeoutError:
            self.evidence.add([f"{fault.target} does not run any more"])
        finally:
            done.healing = time.time()
            await self.stage.faults.heal(fault)
            done.healed = time.time()

    async def _see_it_come_back(self, each: Round) -> None:
        healed = time.time()
        missing = ["everything"]
        while missing and time.time() - healed < READY_WITHIN_S:
            await asyncio.sleep(0.5)
            missing = self.vitals.missing(healed)
        took_s = time.time() - healed
        self.diary.back.append(Back(each.number, healed, None if missing else took_s, tuple(missing)))
        if missing:
            self.evidence.add([f"{READY_WITHIN_S:.0f} s after round {each.number} was healed: {'; '.join(missing)}"])
        else:
            self.diary.tell(f"{each.number:3}  all are ready after {took_s:.1f} s")
