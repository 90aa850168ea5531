-- The ledger of a run. Times are seconds since 1970; blobs are deflated (see codec.py).
-- What it means for a user: see views.sql.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE users (
    user_id TEXT PRIMARY KEY,
    behaviors INTEGER NOT NULL,
    log BLOB NOT NULL
);
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
    reason TEXT,                              -- why it failed or is asked again; 'answer_kept': only missed lines are
    events INTEGER NOT NULL DEFAULT 0,        -- how many its outcome has
    call_id INTEGER,                          -- the call whose outcome holds
    PRIMARY KEY (user_id, first, last)
) WITHOUT ROWID;
CREATE INDEX parts_by_state ON parts (state);
CREATE TABLE calls (
    id INTEGER PRIMARY KEY,
    attempt INTEGER NOT NULL,
    users TEXT NOT NULL,                      -- alias -> [user_id, first index, last index], and where only some lines
                                              -- are asked about, which: [..., [index, ...]]
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
    events BLOB NOT NULL,
    PRIMARY KEY (call_id, user_id, first)
) WITHOUT ROWID;
CREATE INDEX outcomes_by_user ON outcomes (user_id);
