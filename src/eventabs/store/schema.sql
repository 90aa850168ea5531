-- The ledger of a run. Times are seconds since 1970; blobs are deflated (see ledger.py).
-- What it means for a user: see views.sql.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE users (
    user_id TEXT PRIMARY KEY,
    behaviors INTEGER NOT NULL,
    days INTEGER NOT NULL,                    -- on which they lie, by the wall clock
    begins INTEGER,                           -- when the first and the last behavior start, seconds since 1970; NULL: none
    ends INTEGER,
    ordinals TEXT,                            -- lasting numbers of the behaviors and of the next new one; NULL: 0, 1, 2, ...
    log BLOB NOT NULL
);
CREATE INDEX users_in_time ON users (user_id, begins, ends);
-- the plan: what is asked about whom, and what has become of it
CREATE TABLE parts (
    user_id TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0,      -- delivered answers that were bad for this part
    broken_calls INTEGER NOT NULL DEFAULT 0,  -- calls that ended without an answer
    max_peers INTEGER NOT NULL DEFAULT 0,     -- most parts in its next batch, 0: as the plan has it
    rows TEXT NOT NULL DEFAULT '',            -- the log indices to ask about next, such as 3-5 9; '': all of the part
    reason TEXT,                              -- why it failed or is asked again
    call_id INTEGER,                          -- the call whose outcome holds
    -- what its outcome has, once it is done: see Counts
    events INTEGER NOT NULL DEFAULT 0,
    journeys INTEGER NOT NULL DEFAULT 0,
    placed INTEGER NOT NULL DEFAULT 0,
    minor INTEGER NOT NULL DEFAULT 0,
    unplaced INTEGER NOT NULL DEFAULT 0,
    unasked INTEGER NOT NULL DEFAULT 0,
    misfiled INTEGER NOT NULL DEFAULT 0,
    repeated INTEGER NOT NULL DEFAULT 0,
    unsure INTEGER NOT NULL DEFAULT 0,
    outside INTEGER NOT NULL DEFAULT 0,
    missed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, first, last)
) WITHOUT ROWID;
CREATE INDEX parts_by_state ON parts (state);
CREATE TABLE calls (
    id INTEGER PRIMARY KEY,
    attempt INTEGER NOT NULL,
    users TEXT NOT NULL,                      -- alias -> [user_id, first index, last index, rows, their digest]
    messages BLOB NOT NULL,
    settings_fingerprint TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    sent_at REAL NOT NULL,                    -- seconds since 1970
    in_flight_limit INTEGER NOT NULL,         -- calls that could be in flight then, 0: not known
    status TEXT NOT NULL DEFAULT 'sent' CHECK (status IN ('sent', 'answered', 'read', 'failed', 'lost')),
    reply BLOB,
    reasoning BLOB,
    finish_reason TEXT,
    prompt_tokens INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0,
    reasoning_tokens INTEGER NOT NULL DEFAULT 0,
    cached_tokens INTEGER NOT NULL DEFAULT 0,
    usage_reported INTEGER NOT NULL DEFAULT 0,
    seconds REAL,
    error TEXT,
    ended_at REAL,                            -- when the reply or the error was written down; NULL: lost
    tier TEXT                                 -- that served the reply; NULL: the ordinary one
);
CREATE INDEX calls_by_status ON calls (status);
-- calls that were sent again; rare, but what status shows of a run that hardly moves
CREATE TABLE retries (
    call_id INTEGER NOT NULL,
    at REAL NOT NULL,
    cause TEXT NOT NULL,                      -- rate_limit, an HTTP status, or connection
    error TEXT NOT NULL,
    wait_seconds REAL NOT NULL
);
CREATE TABLE outcomes (
    call_id INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    reason TEXT,                              -- NULL: usable
    result BLOB NOT NULL,                     -- its events and journeys, and what became of the other rows
    PRIMARY KEY (call_id, user_id, first)
) WITHOUT ROWID;
CREATE INDEX outcomes_by_user ON outcomes (user_id);
-- Requests that went out in one file, to be answered elsewhere: by a batch service, or by whoever takes the file.
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY,
    state TEXT NOT NULL,                      -- see counts_users_jobs_extensions.py
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
CREATE TABLE job_calls (
    call_id INTEGER PRIMARY KEY,
    job_id INTEGER NOT NULL,
    body BLOB NOT NULL                        -- of the request, but for its messages
);
CREATE INDEX calls_by_job ON job_calls (job_id);
-- Whom extensions were about.
CREATE TABLE extended (
    user_id TEXT PRIMARY KEY,
    since INTEGER NOT NULL,                   -- the last call before: earlier ones were about another log
    last INTEGER NOT NULL,                    -- the last log index
    kept BLOB,                                -- what of the outcome before stays, under the indices of today; NULL: nothing
    listed TEXT NOT NULL DEFAULT '[]',        -- ids of the journeys that requests name beside the rows
    before BLOB                               -- events and journeys before the last extension; NULL: it was not about the user
) WITHOUT ROWID;
-- Bad answers, which are few: what `status` counts again and again.
CREATE INDEX bad_outcomes ON outcomes (user_id, reason) WHERE reason IS NOT NULL;

-- What each answer about a user held as it was read; see counts_users_jobs_extensions.py. Other answers change nothing of that.
CREATE TABLE answers (
    call_id INTEGER NOT NULL,
    third TEXT NOT NULL,                      -- of the batch, 1 to 3; '' of fewer than three users
    place INTEGER NOT NULL,                   -- of the user in the batch, from 1
    users INTEGER NOT NULL,                   -- in the batch
    reason TEXT,                              -- NULL: usable
    behaviors INTEGER NOT NULL,               -- that it was asked about
    events INTEGER NOT NULL,
    journeys INTEGER NOT NULL,
    placed INTEGER NOT NULL,
    minor INTEGER NOT NULL,
    unplaced INTEGER NOT NULL,
    unasked INTEGER NOT NULL,
    misfiled INTEGER NOT NULL,
    repeated INTEGER NOT NULL,
    unsure INTEGER NOT NULL,
    outside INTEGER NOT NULL,
    missed INTEGER NOT NULL,
    PRIMARY KEY (call_id, third, place)
) WITHOUT ROWID;
