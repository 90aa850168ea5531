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

-- What each answer about a user held as it was read, before rules that must hold added to it; see answers.py. Later extensions
-- and other answers change nothing of that.
CREATE TABLE IF NOT EXISTS answers (
    call_id INTEGER NOT NULL,
    third TEXT NOT NULL,                      -- of the batch, 1 to 3; '' of fewer than three users
    place INTEGER NOT NULL,                   -- of the user in the batch, from 1
    users INTEGER NOT NULL,                   -- in the batch
    reason TEXT,                              -- NULL: usable; else all numbers below are 0
    behaviors INTEGER NOT NULL,               -- that it was asked about
    user_days INTEGER NOT NULL,               -- on which these lie, by the wall clock
    events INTEGER NOT NULL,
    covered INTEGER NOT NULL,                 -- behaviors that are part of an event
    ungrounded INTEGER NOT NULL,              -- events without a behavior
    repeated INTEGER NOT NULL,                -- events that were dropped, being of another's type and times
    outside INTEGER NOT NULL,                 -- events with a type that a closed vocabulary lacks
    missed INTEGER NOT NULL,                  -- behaviors that lacked the event which a rule wants
    PRIMARY KEY (call_id, third, place)
) WITHOUT ROWID;
