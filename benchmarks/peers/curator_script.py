"""The prompts through bespokelabs-curator, with its cache to go on from."""

from bespokelabs import curator
from datasets import Dataset
from prompt_files import Task, read_task


class Events(curator.LLM):  # type: ignore[misc]  # it is not installed where types are checked
    """Asks for the events of a user."""

    def prompt(self, row: dict[str, str]) -> str:
        """Return the user's message."""
        return row["user"]

    def parse(self, row: dict[str, str], response: str) -> dict[str, str]:
        """Return the answer under the prompt's name."""
        return {"id": row["id"], "text": response}


def ask_all(task: Task) -> list[tuple[str, str | None]]:
    """Ask all prompts, so many at a time and with no limit a minute."""
    events = Events(
        model_name="simulated",
        backend="openai",
        system_prompt=task.prompts[0]["system"],
        backend_params={
            "base_url": task.base_url,
            "api_key": "none",
            "max_concurrent_requests": task.calls,
            "max_requests_per_minute": 1_000_000,
            "max_tokens_per_minute": 1_000_000_000,
            "request_timeout": int(task.seconds),
            "require_all_responses": False,
        },
    )
    rows = Dataset.from_list([{"id": prompt["id"], "user": prompt["user"]} for prompt in task.prompts])
    return [(row["id"], row["text"]) for row in events(rows, working_dir="curator").dataset]


if __name__ == "__main__":
    TASK = read_task()
    TASK.write(ask_all(TASK))
