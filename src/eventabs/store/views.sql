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

-- what the answers about every part that is done hold, also of a user whose other parts are not; one row a part
CREATE TEMP VIEW user_results AS
SELECT parts.user_id, parts.first, parts.last, outcomes.result
FROM main.parts JOIN main.outcomes USING (call_id, user_id, first)
WHERE parts.state = 'done';

-- the calls that a user was part of: outcomes name the users of those that were read; in the others, which are few,
-- they are searched for
CREATE TEMP VIEW user_calls AS
SELECT user_id, call_id FROM main.outcomes JOIN main.calls ON calls.id = call_id
UNION ALL
SELECT json_extract(asked.value, '$[0]'), calls.id FROM main.calls, json_each(calls.users) AS asked
WHERE status IN ('sent', 'answered', 'failed', 'lost');

-- the calls of jobs whose answers are awaited
CREATE TEMP VIEW awaited_calls AS
SELECT call_id, job_id, users, input_tokens
FROM main.job_calls JOIN main.calls ON calls.id = call_id
WHERE status = 'sent';

-- the parts that these ask about
CREATE TEMP VIEW awaited_parts AS
SELECT json_extract(asked.value, '$[0]'), json_extract(asked.value, '$[1]'), json_extract(asked.value, '$[2]')
FROM temp.awaited_calls, json_each(users) AS asked;

-- the parts that are to be asked about, awaited or not; a part is whole where it has all of its user
CREATE TEMP VIEW planned_parts AS
SELECT
    user_id, first, last, input_tokens, output_tokens, attempts, broken_calls, max_peers,
    last - first + 1 = behaviors AS is_whole, rows
FROM main.parts JOIN main.users USING (user_id)
WHERE state = 'pending';

-- the events and journeys of a user before the last extension
CREATE TEMP VIEW standing AS
SELECT user_id, before FROM main.extended JOIN main.users USING (user_id)
WHERE behaviors > 0 AND before IS NOT NULL;

-- the users whose current events and journeys there may be
CREATE TEMP VIEW users_with_results AS
SELECT user_id, state FROM temp.user_states
WHERE state = 'done' OR EXISTS (SELECT 1 FROM temp.standing WHERE standing.user_id = user_states.user_id);

-- a row for each answer that came or is awaited, and for each part that is done or has failed for want of one
CREATE TEMP VIEW answered_or_awaited AS
SELECT 1 FROM main.parts WHERE state = 'done' OR (state = 'failed' AND reason <> 'no_readable_rows')
UNION ALL
SELECT 1 FROM main.calls WHERE status IN ('answered', 'read')
UNION ALL
SELECT 1 FROM temp.awaited_calls;

-- the latest answer that was read, where nothing of it could be used
CREATE TEMP VIEW latest_bad_reply AS
SELECT reply FROM main.calls
WHERE id = (SELECT max(id) FROM main.calls WHERE status = 'read') AND NOT EXISTS (
    SELECT 1 FROM main.outcomes WHERE call_id = calls.id AND coalesce(reason, 'unplaced') IN ('unplaced', 'minor')
);

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

-- users whose answer was bad and who are asked again, each once, with the reason of the first time
CREATE TEMP VIEW asked_again AS
SELECT user_id, reason, min(call_id) AS call_id
FROM main.outcomes
WHERE reason IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM main.parts
    WHERE parts.user_id = outcomes.user_id AND parts.first = outcomes.first
        AND parts.call_id = outcomes.call_id AND state = 'failed'
)
GROUP BY user_id;

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

-- what each tier served, NULL for the ordinary one
CREATE TEMP VIEW tier_use AS
SELECT
    tier,
    count(*) AS calls,
    sum(prompt_tokens) AS prompt_tokens,
    sum(completion_tokens) AS completion_tokens,
    sum(cached_tokens) AS cached_tokens
FROM main.calls
WHERE status IN ('answered', 'read')
GROUP BY tier;

-- the sums of a run: what it holds, and what its calls used; the first fields of Counts, in their order
CREATE TEMP VIEW counted AS
SELECT
    logged.users,
    logged.behaviors,
    ended.users AS done,
    (SELECT count(*) FROM temp.failed_users) AS failed,
    ended.events,
    ended.journeys,
    used.calls,
    (SELECT count(*) FROM main.retries) AS retries,
    used.prompt_tokens,
    used.completion_tokens,
    used.cached_tokens,
    used.batches_done,
    accepted.*,
    (
        SELECT coalesce(sum(days), 0) FROM main.users
        WHERE user_id NOT IN (SELECT user_id FROM main.parts WHERE state IN ('pending', 'failed'))
    ) AS user_days
FROM
    (SELECT count(*) AS users, coalesce(sum(behaviors), 0) AS behaviors FROM main.users) AS logged,
    (
        SELECT count(*) AS users, coalesce(sum(events), 0) AS events, coalesce(sum(journeys), 0) AS journeys
        FROM (
            SELECT max(state) AS state, sum(events) AS events, sum(journeys) AS journeys
            FROM main.parts GROUP BY user_id
        )
        WHERE state = 'done'
    ) AS ended,
    (
        SELECT
            coalesce(sum(last - first + 1), 0) AS answered,
            coalesce(sum(placed), 0) AS placed,
            coalesce(sum(minor), 0) AS minor,
            coalesce(sum(unplaced), 0) AS unplaced,
            coalesce(sum(unasked), 0) AS unasked,
            coalesce(sum(misfiled), 0) AS misfiled,
            coalesce(sum(repeated), 0) AS repeated,
            coalesce(sum(unsure), 0) AS unsure,
            coalesce(sum(outside), 0) AS outside,
            coalesce(sum(missed), 0) AS missed,
            coalesce(sum(first < 0 AND reason IS NOT NULL), 0) AS unlinked
        FROM main.parts WHERE state = 'done'
    ) AS accepted,
    (
        SELECT
            count(*) AS calls,
            coalesce(sum(prompt_tokens), 0) AS prompt_tokens,
            coalesce(sum(completion_tokens), 0) AS completion_tokens,
            coalesce(sum(cached_tokens), 0) AS cached_tokens,
            count(*) FILTER (WHERE status IN ('read', 'failed')) AS batches_done
        FROM main.calls
    ) AS used;

-- what answers held, by the users in the batch and by its third. Each call is summed up first: its rows lie side by side
CREATE TEMP VIEW answers_by_place AS
SELECT
    users,
    third,
    sum(asked) AS asked,
    sum(usable) AS usable,
    sum(behaviors) AS behaviors,
    sum(events) AS events,
    sum(journeys) AS journeys,
    sum(placed) AS placed,
    sum(minor) AS minor,
    sum(unplaced) AS unplaced,
    sum(unasked) AS unasked,
    sum(misfiled) AS misfiled,
    sum(repeated) AS repeated,
    sum(unsure) AS unsure,
    sum(outside) AS outside,
    sum(missed) AS missed
FROM (
    SELECT
        max(users) AS users,
        third,
        count(*) AS asked,
        sum(reason IS NULL) AS usable,
        sum(behaviors) AS behaviors,
        sum(events) AS events,
        sum(journeys) AS journeys,
        sum(placed) AS placed,
        sum(minor) AS minor,
        sum(unplaced) AS unplaced,
        sum(unasked) AS unasked,
        sum(misfiled) AS misfiled,
        sum(repeated) AS repeated,
        sum(unsure) AS unsure,
        sum(outside) AS outside,
        sum(missed) AS missed
    FROM main.answers
    WHERE users > 0
    GROUP BY call_id, third
)
GROUP BY users, third
ORDER BY users, third;
