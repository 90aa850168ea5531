"""The prompts through flexllm, with its file of results to go on from."""

import asyncio

from flexllm import LLMClient
from prompt_files import Task, read_task


async def ask_all(task: Task) -> list[tuple[str, str | None]]:
    """Ask all prompts, so many at a time."""
    messages = [
        [{"role": role, "content": prompt[role]} for role in ("system", "user")] for prompt in task.prompts
    ]
    async with LLMClient(
        model="simulated",
        base_url=task.base_url,
        api_key="none",
        concurrency_limit=task.calls,
        timeout=task.seconds,
    ) as client:
        results = await client.chat_batch(messages, output_jsonl="flexllm.jsonl", show_progress=False)
    return [
        (prompt["id"], result.content if result.ok else None)
        for prompt, result in zip(task.prompts, results, strict=True)
    ]


if __name__ == "__main__":
    TASK = read_task()
    TASK.write(asyncio.run(ask_all(TASK)))
