"""The first request as it would be sent."""

from rich.console import Console
from rich.text import Text

from eventabs.records import Request
from eventabs.views.jsonlines import encode


def print_prompt(console: Console, request: Request) -> None:
    """Print the messages, each under its role; what they hold is printed to the letter."""
    for message in request.messages:
        console.print(Text(f"[{message['role']}]", style="bold"), soft_wrap=True)
        console.print(Text(message["content"]), soft_wrap=True)


def prompt_json(request: Request) -> bytes:
    """Return the messages, and what is asked of the answer, as the endpoint gets them."""
    body = {"messages": list(request.messages), "max_tokens": request.max_output_tokens}
    if request.response_format is not None:
        body["response_format"] = request.response_format
    return f"{encode(body)}\n".encode()
