"""The prompts through async-batch-llm, with its store of artifacts (fsync) to go on from."""

import asyncio

from async_batch_llm import (
    ArtifactIdentity,
    JsonlArtifactStore,
    ProcessorConfig,
    ResumePolicy,
    llm,
    process_prompts,
)
from prompt_files import Task, read_task


async def ask_all(task: Task) -> list[tuple[str, str | None]]:
    """Ask all prompts, so many at a time."""
    strategy = llm(
        "openai-compatible:simulated",
        base_url=task.base_url,
        api_key="none",
        system_instruction=task.prompts[0]["system"],
    )
    identity = ArtifactIdentity(provider="simulated", model="simulated", prompt_version="1")
    batch = await process_prompts(
        strategy,
        [(prompt["id"], prompt["user"]) for prompt in task.prompts],
        config=ProcessorConfig(concurrency=task.calls, attempt_timeout=task.seconds),
        artifact_store=JsonlArtifactStore("artifacts.jsonl", identity=identity, fsync=True),
        resume=ResumePolicy.REUSE_SUCCESSES,
    )
    return [(result.item_id, result.output) for result in batch.results]


if __name__ == "__main__":
    TASK = read_task()
    TASK.write(asyncio.run(ask_all(TASK)))
