"""Responses: the object with every field of 2026."""

from typing import Any

from penstock.sample.answers import logprobs, tools
from penstock.sample.answers.tools import ToolCall
from penstock.sample.answers.words import Heard, Json, Said, count, hear, say


def answer(body: Json, number: int, created: int) -> Json:
    """Give the whole `response` object."""
    heard = hear(body["input"], body.get("instructions"))
    call = tools.called(body, heard)
    said = spoken(body, heard)
    return finished(body, number, created, call, said)


def spoken(body: Json, heard: Heard) -> Said:
    """Say the answer's text, within `max_output_tokens`."""
    form = (body.get("text") or {}).get("format") or {}
    return say(heard, body.get("max_output_tokens"), as_json=form.get("type", "text") != "text")


def finished(body: Json, number: int, created: int, call: ToolCall | None, said: Said) -> Json:
    """Give the response once all its output is out."""
    cut = said.cut and call is None
    item = call_item(number, call) if call else message_item(body, number, said)
    return {
        **begun(body, number, created),
        "status": "incomplete" if cut else "completed",
        "completed_at": None if cut else created,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": [item],
        "usage": _usage(body, call, said),
    }


def begun(body: Json, number: int, created: int) -> Json:
    """Give the response as it is while it has no output yet."""
    return {
        "id": f"resp_{number:08d}",
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "output": [],
        "usage": None,
        **_settings(body),
    }


def _settings(body: Json) -> Json:
    """Echo what the request set, with OpenAI's defaults for the rest."""
    return {
        "model": body["model"],
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": body.get("max_tool_calls"),
        "metadata": body.get("metadata") or {},
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "previous_response_id": body.get("previous_response_id"),
        "prompt_cache_key": body.get("prompt_cache_key"),
        "prompt_cache_retention": body.get("prompt_cache_retention"),
        "reasoning": body.get("reasoning") or {"effort": None, "summary": None},
        "safety_identifier": body.get("safety_identifier"),
        "service_tier": "default",
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": body.get("text") or {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": [_tool(tool) for tool in body.get("tools") or ()],
        "top_logprobs": body.get("top_logprobs", 0),
        "top_p": body.get("top_p", 1.0),
        "truncation": body.get("truncation", "disabled"),
        "user": body.get("user"),
    }


def _tool(tool: Json) -> Json:
    if tool.get("type") != "function":
        return tool
    return {"description": None, "parameters": {}, "strict": True, **tool}


def message_item(body: Json, number: int, said: Said | None) -> Json:
    """Give the message of the output; without a text it is the one that is just being written."""
    status = "in_progress" if said is None else "incomplete" if said.cut else "completed"
    return {
        "id": f"msg_{number:08d}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [] if said is None else [text_part(body, said.pieces)],
    }


def text_part(body: Json, tokens: list[str]) -> Json:
    """Give a message's one part."""
    return {
        "type": "output_text",
        "text": "".join(tokens),
        "annotations": [],
        "logprobs": probabilities(body, tokens),
    }


def probabilities(body: Json, tokens: list[str]) -> list[Json]:
    """Give the log probabilities where `include` asks for them."""
    wanted = "message.output_text.logprobs" in (body.get("include") or ())
    return logprobs.of_tokens(tokens, body.get("top_logprobs")) if wanted else []


def call_item(number: int, call: ToolCall, *, done: bool = True) -> Json:
    """Give the function call of the output."""
    return {
        "id": f"fc_{number:08d}",
        "type": "function_call",
        "status": "completed" if done else "in_progress",
        "call_id": f"call_{number:08d}",
        "name": call.name,
        "arguments": call.arguments if done else "",
    }


def _usage(body: Json, call: ToolCall | None, said: Said) -> Json:
    heard = hear(body["input"], body.get("instructions"))
    out: Any = count(call.arguments) if call else len(said.pieces)
    return {
        "input_tokens": heard.input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": out,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": heard.input_tokens + out,
    }
