-- Tables that came after format 2: made where they are missing, so that a ledger from before stays readable.

-- Requests that went out in one file, to be answered elsewhere: by a batch service, or by whoever takes the file.
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY,
    state TEXT NOT NULL,                      -- see jobs.py
    requests INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,  -- of all its prompts, as they are counted here
    file_id TEXT,                             -- what the service calls the file and the job
    batch_id TEXT,
    status TEXT,                              -- as the service said last
    submitted_at REAL,                        -- seconds since 1970
    ended_at REAL,
    error TEXT
);
-- Calls that are part of a job. One that is 'sent' is awaited: its parts are asked about nowhere else.
CREATE TABLE IF NOT EXISTS job_calls (
    call_id INTEGER PRIMARY KEY,
    job_id INTEGER NOT NULL,
    body BLOB NOT NULL                        -- of the request, but for its messages
);
CREATE INDEX IF NOT EXISTS calls_by_job ON job_calls (job_id);
-- Bad answers, which are few: what `status` counts again and again.
CREATE INDEX IF NOT EXISTS bad_outcomes ON outcomes (user_id, reason) WHERE reason IS NOT NULL;
