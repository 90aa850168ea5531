-- What a ledger means for a user. Every connection makes these views anew, outside the file, which may come from
-- anywhere. Each column is looked up by the user's id, so that a page of users costs no more among a million.
CREATE TEMP VIEW user_states AS
SELECT
    user_id,
    -- done < failed < pending: a user is done when every part is, and failed when one is and none is pending
    (SELECT max(state) FROM main.parts WHERE parts.user_id = users.user_id) AS state,
    behaviors,
    (SELECT sum(events) FROM main.parts WHERE parts.user_id = users.user_id) AS events,
    (SELECT min(reason) FROM main.parts WHERE parts.user_id = users.user_id AND state = 'failed') AS reason,
    (SELECT max(attempts) FROM main.parts WHERE parts.user_id = users.user_id) AS attempts
FROM main.users;

-- the events of every part that is done, also of a user whose other parts are not; one row a part
CREATE TEMP VIEW user_events AS
SELECT parts.user_id, parts.first, outcomes.events
FROM main.parts JOIN main.outcomes USING (call_id, user_id, first)
WHERE parts.state = 'done';

-- whom each call asked about; one row a part
CREATE TEMP VIEW asked_users AS
SELECT calls.id AS call_id, calls.status, json_extract(asked.value, '$[0]') AS user_id
FROM main.calls, json_each(calls.users) AS asked;

-- the sums of a run: what it holds, and what its calls used
CREATE TEMP VIEW counted AS
SELECT * FROM
    (SELECT count(*), coalesce(sum(behaviors), 0) FROM main.users),
    (SELECT count(*), coalesce(sum(events), 0) FROM user_states WHERE state = 'done'),
    (
        SELECT
            count(*),
            coalesce(sum(prompt_tokens), 0),
            coalesce(sum(completion_tokens), 0),
            count(*) FILTER (WHERE status IN ('read', 'failed'))
        FROM main.calls
    );
