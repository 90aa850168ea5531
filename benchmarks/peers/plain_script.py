"""What most people write first: asyncio, a prompt a user, no retries; answers are written when all are there."""

import asyncio

import httpx
from prompt_files import Task, read_task


async def ask_all(task: Task) -> list[tuple[str, str]]:
    """Ask all prompts, so many at a time; an answer that fails is empty."""
    slots = asyncio.Semaphore(task.calls)
    async with httpx.AsyncClient(base_url=task.base_url, timeout=task.seconds) as client:

        async def ask(prompt: dict[str, str]) -> tuple[str, str]:
            messages = [{"role": role, "content": prompt[role]} for role in ("system", "user")]
            async with slots:
                try:
                    body = {"model": "simulated", "messages": messages}
                    said = (await client.post("/chat/completions", json=body)).json()
                    return prompt["id"], said["choices"][0]["message"]["content"] or ""
                except (httpx.HTTPError, ValueError, KeyError, IndexError):
                    return prompt["id"], ""

        return await asyncio.gather(*map(ask, task.prompts))


if __name__ == "__main__":
    TASK = read_task()
    TASK.write(asyncio.run(ask_all(TASK)))
