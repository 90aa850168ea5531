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
    (SELECT max(attempts) FROM main.parts WHERE parts.user_id = users.user_id) AS attempts,
    (SELECT max(broken_calls) FROM main.parts WHERE parts.user_id = users.user_id) AS broken_calls
FROM main.users;

-- few among many: found by the index of parts
CREATE TEMP VIEW failed_users AS
SELECT * FROM user_states
WHERE state = 'failed' AND user_id IN (SELECT user_id FROM main.parts WHERE state = 'failed');

-- the events of every part that is done, also of a user whose other parts are not; one row a part
CREATE TEMP VIEW user_events AS
SELECT parts.user_id, parts.first, outcomes.events
FROM main.parts JOIN main.outcomes USING (call_id, user_id, first)
WHERE parts.state = 'done';

-- the calls that a user was part of: outcomes name the users of those that were read; in the others, which are few,
-- they are searched for
CREATE TEMP VIEW user_calls AS
SELECT user_id, call_id FROM main.outcomes JOIN main.calls ON calls.id = call_id
UNION ALL
SELECT json_extract(asked.value, '$[0]'), calls.id FROM main.calls, json_each(calls.users) AS asked
WHERE status IN ('sent', 'answered', 'failed', 'lost');

-- why answers were bad: how many, for how many users, and how many failed by it in the end
CREATE TEMP VIEW failure_causes AS
SELECT reason, sum(bad) AS bad, sum(users) AS users, sum(failed) AS failed
FROM (
    SELECT reason, count(*) AS bad, count(DISTINCT user_id) AS users, 0 AS failed
    FROM main.outcomes WHERE reason IS NOT NULL GROUP BY reason
    UNION ALL
    SELECT reason, 0, 0, count(DISTINCT user_id) FROM main.parts WHERE state = 'failed' GROUP BY reason
)
GROUP BY reason;

-- users whose answer was bad and who are asked again, each once, by the reason of the first time
CREATE TEMP VIEW asked_again AS
SELECT reason, count(*) AS users
FROM (
    SELECT reason, min(call_id)
    FROM main.outcomes
    WHERE reason IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM main.parts
        WHERE parts.user_id = outcomes.user_id AND parts.first = outcomes.first
            AND parts.call_id = outcomes.call_id AND state = 'failed'
    )
    GROUP BY user_id
)
GROUP BY reason;

-- replies with nothing usable for a user, and whether it failed by that
CREATE TEMP VIEW bad_replies AS
SELECT
    outcomes.reason,
    outcomes.user_id,
    call_id,
    coalesce(finish_reason, '') AS finish_reason,
    reply,
    EXISTS (
        SELECT 1 FROM main.parts
        WHERE parts.user_id = outcomes.user_id AND parts.first = outcomes.first
            AND parts.call_id = outcomes.call_id AND state = 'failed'
    ) AS failed
FROM main.outcomes JOIN main.calls ON calls.id = call_id
WHERE outcomes.reason IS NOT NULL;

-- the tier that served each call, NULL: the ordinary one; of an earlier version's ledger as below
CREATE TEMP VIEW call_tiers AS
SELECT id, (SELECT tier FROM main.calls WHERE calls.id = known.id) AS tier
FROM (SELECT id, NULL AS tier FROM main.calls) AS known;

-- what each tier served, NULL for the ordinary one. A ledger of an earlier version has no column `tier` in its calls: there the
-- name means the one of `known`
CREATE TEMP VIEW tier_use AS
SELECT
    (SELECT tier FROM main.calls WHERE calls.id = known.id) AS tier,
    count(*) AS calls,
    sum(prompt_tokens) AS prompt_tokens,
    sum(completion_tokens) AS completion_tokens,
    sum(cached_tokens) AS cached_tokens
FROM (
    SELECT id, prompt_tokens, completion_tokens, cached_tokens, NULL AS tier FROM main.calls
    WHERE status IN ('answered', 'read')
) AS known
GROUP BY 1;

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
            coalesce(sum(cached_tokens), 0),
            count(*) FILTER (WHERE status IN ('read', 'failed'))
        FROM main.calls
    );

-- what each answer was for each user in its batch: the place of the user, counted from 1, and the events where the answer holds
CREATE TEMP VIEW batch_places AS
SELECT asked.users, asked.place, outcomes.reason, parts.events
FROM (
    SELECT
        calls.id AS call_id,
        (SELECT count(*) FROM json_each(calls.users)) AS users,
        CAST(substr(one.key, 2) AS INTEGER) AS place,
        json_extract(one.value, '$[0]') AS user_id,
        json_extract(one.value, '$[1]') AS first
    FROM main.calls, json_each(calls.users) AS one
    WHERE calls.status = 'read'
) AS asked
JOIN main.outcomes USING (call_id, user_id, first)
LEFT JOIN main.parts
    ON parts.user_id = asked.user_id AND parts.first = asked.first AND parts.last = outcomes.last
        AND parts.call_id = asked.call_id AND parts.state = 'done';

-- users asked, the shares of usable and of ungrounded answers, and events for each answer that holds; bands by powers of two
CREATE TEMP VIEW yield_by_size AS
SELECT
    least,
    CASE WHEN least < 64 THEN 2 * least - 1 END AS most,
    count(*) AS asked,
    avg(reason IS NULL) AS usable,
    avg(coalesce(reason = 'ungrounded', 0)) AS ungrounded,
    avg(events) AS events
FROM (
    SELECT
        reason,
        events,
        CASE
            WHEN users < 2 THEN 1 WHEN users < 4 THEN 2 WHEN users < 8 THEN 4 WHEN users < 16 THEN 8
            WHEN users < 32 THEN 16 WHEN users < 64 THEN 32 ELSE 64
        END AS least
    FROM batch_places
)
GROUP BY least
ORDER BY least;

-- the same by third of the batch
CREATE TEMP VIEW yield_by_third AS
SELECT
    1 + (place - 1) * 3 / users AS third,
    count(*) AS asked,
    avg(reason IS NULL) AS usable,
    avg(coalesce(reason = 'ungrounded', 0)) AS ungrounded,
    avg(events) AS events
FROM batch_places
WHERE users >= 3 AND place BETWEEN 1 AND users
GROUP BY third
ORDER BY third;
