-- Rows as text (file, line, problem, a digest of what duplicates share, and a column for each role) -> behaviors in normal form, row by row.
-- The result has user_id, start (TIMESTAMP, wall time in microseconds), shift (offset in seconds or NULL), action, item (NULL: the text
-- itself), place, duration, file, line, text (a sentence, or words that say the action themselves; else NULL), reason (NULL for readable rows), mark and digest.
WITH trim_ends AS (
    SELECT * REPLACE ({trimmed_roles}), usual_time("time") AS usual{if marker}{else}, NULL::TINYINT AS mark{end} FROM ({raw})
),
{if marker}marked AS (
    SELECT * EXCLUDE (marker_word) REPLACE (
            -- an action that only begins or ends something is none, unless nothing else says what was done
            CASE WHEN marker IS NULL OR marker IS DISTINCT FROM action OR marker_kind(marker_word) IS NULL THEN action
                WHEN coalesce(text, item, place, app, media, category, brand) IS NULL THEN marker_family(marker_word)
                END AS action),
        marker_kind(marker_word) AS mark
    FROM (SELECT *, plain_word(marker) AS marker_word FROM trim_ends)
),{end}
spelled AS (
    SELECT * EXCLUDE (category, brand, price, marker, unusual, "date") REPLACE (
        CASE WHEN usual IS NULL THEN spelled_time(unusual, "date", {dayfirst}) ELSE "time" END AS "time",
        -- a dash is no end and no duration, and no broken one
        {if end}CASE WHEN NOT regexp_full_match("end", '(?i){empty}') THEN spelled_time("end", "date", {dayfirst}) END AS "end",{end}
        {if duration}CASE WHEN NOT regexp_full_match(duration, '(?i){empty}') THEN with_point(duration) END AS duration,{end}
        CASE WHEN coalesce(category, brand, price) IS NULL THEN item
            WHEN coalesce(item, category, brand) IS NULL THEN NULL  -- a price alone is no thing
            ELSE concat_ws(' ', category, brand, item, price) END AS item),
        -- a longer text is a sentence, not an action's name
        coalesce(action, CASE WHEN strlen(text) <= 24 THEN text END) AS name{if end}, regexp_matches("end", time_of_day()) AS end_is_clock{end}
    -- a usual time has no white around it
    FROM (SELECT *, CASE WHEN usual IS NULL THEN trimmed("time") END AS unusual FROM {if marker}marked{else}trim_ends{end})
),
named AS (
    SELECT * EXCLUDE (name, word, media_word, app_word, result_word, result) {if media app}REPLACE (
            -- beside a thing a platform says where; alone it says nothing, and neither does the number of an app
            CASE WHEN NOT is_platform(media_word) THEN media END AS media,
            CASE WHEN app_word IS NULL OR NOT (is_platform(app_word) OR (canonical IS DISTINCT FROM 'use'
                    AND coalesce(action, media, place) IS NOT NULL AND regexp_full_match(app, '-?[0-9]+'))) THEN app END AS app){end},
        {if result}CASE WHEN result IS NULL OR NOT is_failure(result_word) OR (action IS NULL AND canonical IS NULL AND text IS NOT NULL)
            THEN coalesce(canonical, action)
            ELSE failed_action(coalesce(action, text), canonical, result) END{else}coalesce(canonical, action){end} AS named_action,
        CASE WHEN action IS NULL AND canonical IS NULL THEN text END AS sentence,
        -- beside an action a text describes it; a row that begins or ends something is known by its object alone
        {if described}CASE WHEN action IS NOT NULL AND mark IS NULL AND plain_word(text) <> word THEN text END{else}NULL::VARCHAR{end} AS description
    FROM (
        SELECT *, {if action text}canonical_action(word){else}NULL::VARCHAR{end} AS canonical
        FROM (
            SELECT *, plain_word(name) AS word,
                {if media}CASE WHEN coalesce(item, text) IS NULL THEN plain_word(media) END{else}NULL::VARCHAR{end} AS media_word,
                {if app}CASE WHEN coalesce(item, text) IS NULL THEN plain_word(app) END{else}NULL::VARCHAR{end} AS app_word,
                {if result}plain_word(result){else}NULL::VARCHAR{end} AS result_word
            FROM spelled
        )
    )
),
split AS (
    SELECT * REPLACE (CASE WHEN usual IS NULL THEN usual_time("time") ELSE usual END AS usual),
        {if text}CASE WHEN coalesce(sentence, description) IS NOT NULL THEN sentence_parts(text) END{else}NULL::STRUCT(verb VARCHAR, item VARCHAR, place VARCHAR, duration VARCHAR){end} AS parts, 
        {if described}split_text(description){else}NULL::STRUCT(words VARCHAR, h VARCHAR, m VARCHAR, s VARCHAR){end} AS ending
    FROM named
),
parsed AS (
    SELECT *, time_parts("time", usual) AS stamp,
        {if text}coalesce(duration, CASE WHEN description IS NULL OR sentence_action IS NOT NULL THEN sentence_duration(parts)
            WHEN "end" IS NULL AND says_how_long(description, named_action) THEN nullif(ending_seconds, 0) || 's' END){else}duration{end} AS duration_text{if text}, sentence_place(parts, sentence_action) AS sentence_place{end}
    FROM (
        SELECT *, {if text}CASE WHEN description IS NULL OR sentence_action(parts) = named_action
            THEN sentence_action(parts) END{else}NULL::VARCHAR{end} AS sentence_action,
            {if described}split_seconds(ending){else}NULL::DOUBLE{end} AS ending_seconds
        FROM split
    )
),
timed AS (
    SELECT *, wall_time("time", usual, stamp) AS wall, time_shift("time", usual, stamp) AS shift,
        try_cast(duration_text AS DOUBLE) {in_seconds} AS number{if offset}, CAST(offset_shift("offset") AS INTEGER) AS own_shift{end}
    FROM parsed
),
checked AS (
    SELECT * EXCLUDE (usual, stamp) REPLACE (believable_time(wall, shift) AS wall), {if duration text}duration_parts(duration_text, number){else}NULL{end} AS units
    FROM timed
),
{if end}ended AS (
    SELECT *, wall_time("end", usual_end, end_stamp) AS end_wall
    FROM (
        SELECT *, time_parts("end", usual_end) AS end_stamp
        FROM (SELECT *, usual_time("end") AS usual_end FROM checked)
    )
),
measured AS (
    SELECT *, CASE WHEN duration_text IS NULL THEN (epoch_us(end_wall) - epoch_us(wall)) / 1000000
        - coalesce(time_shift("end", usual_end, end_stamp), 0) + coalesce(shift, 0)
        + CASE WHEN end_is_clock AND end_wall < wall THEN 86400 ELSE 0 END END AS until_end  -- a shift ends after midnight
    FROM ended
),{end}
summed AS (
    SELECT * EXCLUDE (number, units) {if offset}REPLACE (
        CASE WHEN "offset" IS NULL THEN wall
            ELSE believable_time(wall - to_seconds(coalesce(shift, 0)) + to_seconds(own_shift), own_shift) END AS wall,
        CASE WHEN "offset" IS NULL THEN shift ELSE own_shift END AS shift){end},
        believable_duration(coalesce({if end}until_end, {end}{if duration text}duration_seconds(number, units), {end}NULL::DOUBLE)) AS seconds
    FROM {if end}measured{else}checked{end}
),
zoned AS ({zoned}),
described AS (
    {if described}{described}{else}SELECT *, NULL::VARCHAR AS words, NULL::VARCHAR AS site, false AS is_told FROM zoned{end}
)
SELECT
    readable_user("user") AS user_id,
    wall AS start,
    shift,
    -- without an action, a place alone was visited and an app alone was used; all else is a thing
    CASE WHEN sentence IS NOT NULL THEN coalesce(sentence_action, '')
        WHEN named_action IS NOT NULL THEN named_action
        WHEN item IS NULL AND media IS NULL AND place IS NOT NULL THEN 'visit'
        WHEN item IS NULL AND media IS NULL AND app IS NOT NULL THEN 'use'
        ELSE '{thing}' END AS action,
    CASE WHEN is_told THEN NULL
        WHEN description IS NOT NULL THEN coalesce(words, '')
        {if text}WHEN sentence_action IS NOT NULL THEN sentence_item(parts){end}
        WHEN sentence IS NOT NULL THEN NULL
        WHEN named_action = 'visit' OR (named_action IS NULL AND item IS NULL AND media IS NULL AND place IS NOT NULL)
            THEN coalesce(place, item, app, media, '')
        WHEN named_action = 'use' THEN coalesce(app, item, media, place, '')
        ELSE coalesce(item, media, app, place, '') END AS item,
    CASE WHEN description IS NOT NULL THEN site
        {if text}WHEN sentence_action IN ('visit', 'use') THEN ''
        WHEN sentence_action IS NOT NULL
            THEN coalesce(nullif(sentence_place, ''), media, app, place, ''){end}
        WHEN sentence IS NOT NULL THEN coalesce(place, media, app, '')
        WHEN named_action IN ('visit', 'use') THEN ''
        WHEN named_action = 'purchase' AND item IS NOT NULL THEN coalesce(place, media, app, '')
        WHEN item IS NOT NULL THEN coalesce(media, app, place, '')
        WHEN media IS NOT NULL THEN coalesce(app, place, '')
        WHEN app IS NOT NULL AND named_action IS NOT NULL THEN coalesce(place, '')
        ELSE '' END AS place,
    seconds AS duration,
    file,
    line,
    CASE WHEN is_told THEN words WHEN description IS NULL THEN sentence WHEN sentence_action IS NOT NULL THEN description END AS text,
    CASE WHEN problem IS NOT NULL THEN problem
        WHEN readable_user("user") IS NULL THEN 'no_user'
        WHEN wall IS NULL THEN CASE WHEN names_no_day("time") THEN 'no_day' ELSE 'bad_time' END
        WHEN coalesce(duration, "end") IS NOT NULL AND seconds IS NULL THEN 'bad_duration'
        WHEN coalesce(named_action, sentence, item, place, app, media) IS NULL THEN 'no_behavior' END AS reason,
    mark,
    digest
FROM described
