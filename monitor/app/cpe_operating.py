"""Runs one command on a router for `faultline cpe operate`, and waits for what it leads to.

An asynchronous command ends with OperationComplete under the same command key; a reboot or factory reset is answered
before it happens, and has happened when the Boot! comes with that key (after a factory reset nobody is subscribed: the
router is then asked until it answers again).
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping

from collectors.cpe.oneshot import Agent, OneShot
from collectors.cpe.redact import printable, shown
from collectors.cpe.usp import calls
from collectors.cpe.usp.notices import Notify, OperationComplete

BOOTS = ("Device.Reboot()",)
Say = Callable[[str], None]


async def operate(
    shot: OneShot, agent: Agent, command: str, arguments: Mapping[str, str], patience_s: float, wait_s: float, say: Say
) -> int:
    """The exit code: 0 done, 1 failed or without a result in time. Raises AgentSilent, AgentError."""
    key = f"faultline-{secrets.token_hex(4)}"
    finished: asyncio.Future[OperationComplete | None] = asyncio.get_running_loop().create_future()

    def notified(serial: str, notify: Notify) -> None:
        if serial != agent.serial or finished.done():
            return
        done, event = notify.oper_complete, notify.event
        if done is not None and done.command_key == key:
            finished.set_result(done)
        elif event is not None and event.event_name == "Boot!" and event.params.get("CommandKey") == key:
            finished.set_result(None)

    shot.notified.append(notified)
    answer = await shot.ask(agent, calls.operate(command, arguments, key), patience_s)
    results = answer.operate_resp.operation_results if answer.operate_resp else []
    waiting = command in BOOTS
    for result in results:
        if result.cmd_failure is not None:
            failure = result.cmd_failure
            say(printable(f"{result.executed_command} failed: {failure.err_code} {failure.err_msg}"))
            return 1
        if result.req_output_args is not None:
            _show(result.req_output_args.output_args, say)
        waiting = waiting or result.req_obj_path is not None
    if not waiting or not wait_s:
        say(f"{command} accepted, command key {key}")
        return 0
    say(f"{command} has begun, command key {key}")
    try:
        async with asyncio.timeout(wait_s):
            done = await finished
    except TimeoutError:
        say(f"no result within {wait_s:g} s: it may still come (faultline cpe watch)")
        return 1
    if done is None:
        say("the router has booted")
        return 0
    if done.cmd_failure is not None:
        say(printable(f"{command} failed: {done.cmd_failure.err_code} {done.cmd_failure.err_msg}"))
        return 1
    _show(done.req_output_args.output_args if done.req_output_args else {}, say)
    return 0


def _show(values: Mapping[str, str], say: Say) -> None:
    for name, value in values.items():
        say(f"{printable(name)} {shown(name, value)}")
