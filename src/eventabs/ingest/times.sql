-- Times and durations in the usual forms -> wall times with their offset from UTC, and whole seconds.

-- Tue Apr 03 18:00:09 +0000 2012
CREATE OR REPLACE MACRO posted_part(text, part) AS
    regexp_extract(text, '^[A-Z][a-z]{2} ([A-Z][a-z]{2}) (\d{1,2}) (\d{2}:\d{2}:\d{2}) ([+-]\d{4}) (\d{4})$', part);

-- 03/04/2026: day or month first
CREATE OR REPLACE MACRO short_date() AS '^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})( .*)?$';

-- Less usual forms of a time as YYYY-MM-DD HH:MM:SS with their zone, others as they are. `day` is a date in a column of
-- its own, for a text that is a time of day. `dayfirst` NULL: a date such as 03/04/2026 stays as it is, and is no time.
CREATE OR REPLACE MACRO spelled_time(text, day, dayfirst) AS list_transform(
    [CASE WHEN regexp_matches(text, '^\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d+)?$') THEN concat_ws(' ', day, text) ELSE text END],
    lambda t: CASE
        WHEN t IS NULL OR t[5] = '-' THEN t
        WHEN t >= 'A' AND posted_part(t, 0) <> '' THEN posted_part(t, 5)
            || '-' || lpad(CAST(position(posted_part(t, 1) IN 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec') // 4 + 1 AS VARCHAR), 2, '0')
            || '-' || posted_part(t, 2) || ' ' || posted_part(t, 3) || posted_part(t, 4)
        WHEN t[2] NOT IN ('/', '-', '.') AND t[3] NOT IN ('/', '-', '.') OR dayfirst IS NULL THEN t
        WHEN dayfirst THEN regexp_replace(t, short_date(), '\3-\2-\1\4')
        ELSE regexp_replace(t, short_date(), '\3-\1-\2\4') END)[1];

-- The TIMESTAMP of a text in the form most exports have, else NULL: much faster than the rest.
CREATE OR REPLACE MACRO usual_time(text) AS
    CASE WHEN text >= '0' AND text < ':'  -- strptime also knows the words epoch and infinity
        THEN try_strptime(text, ['%Y-%m-%d %H:%M:%S', '%Y-%m-%dT%H:%M:%S']) END;

-- What `usual_time` left over, as a struct of day, clock and zone, or NULL.
CREATE OR REPLACE MACRO time_parts(text, usual) AS
    CASE WHEN usual IS NULL AND text IS NOT NULL THEN regexp_extract(text,
        '^(\d{4}[-/]\d{1,2}[-/]\d{1,2})(?:[ T](\d{1,2}:\d{2}(?::\d{2})?)(?:[.,]\d+)?(?: ?(Z|z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?)?$',
        ['day', 'clock', 'zone']) END;

-- The time as it is written, a TIMESTAMP in whole seconds; NULL if it is none. An epoch is UTC: seconds from 1973 on,
-- milli- or microseconds.
CREATE OR REPLACE MACRO wall_time(text, usual, parts) AS CASE
    WHEN usual IS NOT NULL THEN usual
    WHEN parts.day <> '' THEN try_cast(concat_ws(' ', replace(parts.day, '/', '-'), nullif(parts.clock, '')) AS TIMESTAMP)
    WHEN regexp_full_match(text, '(?:\d{9,10}|\d{12,13}|\d{15,16})(?:\.\d+)?') THEN make_timestamp(
        CAST(split_part(text, '.', 1) AS BIGINT) // (CASE
            WHEN length(split_part(text, '.', 1)) >= 15 THEN 1000000
            WHEN length(split_part(text, '.', 1)) >= 12 THEN 1000
            ELSE 1 END) * 1000000)
    END;

-- The offset from UTC in seconds that the text names, NULL if it names none. An epoch's is 0.
CREATE OR REPLACE MACRO time_shift(text, usual, parts) AS CASE
    WHEN text IS NULL OR usual IS NOT NULL OR (parts.day <> '' AND parts.zone = '') THEN NULL
    WHEN parts.zone[1] IN ('+', '-') THEN (CASE parts.zone[1] WHEN '-' THEN -1 ELSE 1 END)
        * (CAST(parts.zone[2:3] AS INTEGER) * 3600
            + coalesce(try_cast(right(replace(parts.zone[4:], ':', ''), 2) AS INTEGER), 0) * 60)
    ELSE 0 END;

-- The time where its year and its offset are believable (offsets in use are below 18 hours), else NULL.
CREATE OR REPLACE MACRO believable_time(wall, shift) AS
    CASE WHEN year(wall) BETWEEN 1970 AND 2100 AND abs(coalesce(shift, 0)) <= 18 * 3600 THEN wall END;

-- The TIMESTAMPTZ of a wall time; one without offset is of `zone`.
CREATE OR REPLACE MACRO moment_of(wall, shift, zone) AS
    CASE WHEN shift IS NULL THEN timezone(zone, wall) ELSE timezone('UTC', wall - to_seconds(shift)) END;

-- The offset from UTC, in seconds, of `zone` at a TIMESTAMPTZ.
CREATE OR REPLACE MACRO shift_in(zone, moment) AS
    CAST(date_diff('second', timezone('UTC', moment), timezone(zone, moment)) AS INTEGER);

-- What is no plain number of seconds, as a list of one struct of days, hours, minutes and seconds.
-- A list, because DuckDB would run the regular expression again for each field of a bare struct.
CREATE OR REPLACE MACRO duration_parts(text, number) AS CASE
    WHEN text IS NULL OR number IS NOT NULL THEN NULL
    WHEN starts_with(lower(text), 'p') THEN [regexp_extract(lower(text),
        '^p(?:(\d{1,12}(?:\.\d{1,9})?)d)?(?:t(?:(\d{1,12}(?:\.\d{1,9})?)h)?(?:(\d{1,12}(?:\.\d{1,9})?)m)?(?:(\d{1,12}(?:\.\d{1,9})?)s)?)?$',
        ['d', 'h', 'm', 's'])]
    WHEN contains(lower(text), ':') THEN
        [regexp_extract(lower(text), '^()(\d{1,6}):([0-5]?\d):([0-5]?\d(?:\.\d+)?)$', ['d', 'h', 'm', 's'])]
    ELSE [regexp_extract(lower(text), '^{units}$', ['d', 'h', 'm', 's'])] END;

-- The duration in seconds, NULL where the text is none.
CREATE OR REPLACE MACRO duration_seconds(number, parts) AS
    CASE WHEN number IS NOT NULL THEN number ELSE list_transform(parts, lambda u:
        CASE WHEN u.d <> '' OR u.h <> '' OR u.m <> '' OR u.s <> '' THEN
            coalesce(try_cast(u.d AS DOUBLE), 0) * 86400 + coalesce(try_cast(u.h AS DOUBLE), 0) * 3600
            + coalesce(try_cast(u.m AS DOUBLE), 0) * 60 + coalesce(try_cast(u.s AS DOUBLE), 0) END)[1] END;

-- A number of seconds, floored; NULL where it is negative or longer than 68 years, which no INTEGER holds.
CREATE OR REPLACE MACRO believable_duration(seconds) AS
    CASE WHEN seconds >= 0 AND seconds < 2147483648 THEN CAST(floor(seconds) AS INTEGER) END;
