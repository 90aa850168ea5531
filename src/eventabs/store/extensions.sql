-- What lets a run take in more of what its users did; made in every ledger that is opened to write.
-- between which moments a user's behaviors lie, in seconds since 1970; of times without an offset by the user's clock
CREATE TABLE IF NOT EXISTS spans (
    user_id TEXT PRIMARY KEY,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    days INTEGER                              -- on which they lie, by the wall clock; NULL: an earlier version wrote the row
) WITHOUT ROWID;
-- the users that the last extension is about, and those that were not done when it began
CREATE TABLE IF NOT EXISTS extended (
    user_id TEXT PRIMARY KEY,
    since INTEGER NOT NULL,                   -- the last call before: what later ones answered is new
    moved_from INTEGER,                       -- the log index from which behaviors have another number; NULL: none
    before BLOB NOT NULL,                     -- the events that it dropped or renumbered, as they were
    dropped BLOB NOT NULL                     -- those that it dropped, which hold until the user is done
) WITHOUT ROWID;
-- users whose parts were cut or renumbered: answers up to this call were about other ones
CREATE TABLE IF NOT EXISTS moved (
    user_id TEXT PRIMARY KEY,
    call_id INTEGER NOT NULL
) WITHOUT ROWID;
