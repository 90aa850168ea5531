-- Times and durations in the usual forms -> wall times with their offset from UTC, and whole seconds.

-- 03/04/2026: day or month first, also 17/05/2015:10:05:03 of a server
CREATE OR REPLACE MACRO short_date() AS '^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d{2})(?:$|:|,? )(.*)$';
CREATE OR REPLACE MACRO whole_year(date) AS
    regexp_replace(regexp_replace(date, '^([7-9]\d)(-\d)', '19\1\2'), '^(\d\d)(-\d)', '20\1\2');

-- 20260115, 20260115T100042Z, 20260115100042, 202601151000, 2026011510
CREATE OR REPLACE MACRO compact_time(text) AS rtrim(regexp_replace(regexp_replace(regexp_replace(text,
    '^(\d{4})(\d{2})(\d{2})(?:\.0+$|[ T]|((?:\d{2}){1,3})$|$)', '\1-\2-\3 \4'),
    ' (\d{2})(\d{2})(\d{2})', ' \1:\2:\3'),
    ' (\d{2})(\d{2})(Z?)$', ' \1:\2\3'));

-- 2026年1月5日 星期一 下午3时4分, 2026/1/5 上午9:05
CREATE OR REPLACE MACRO chinese_time(text) AS rtrim(regexp_replace(regexp_replace(regexp_replace(regexp_replace(
    regexp_replace(regexp_replace(text,
    '^(\d{4}) ?年 ?(\d{1,2}) ?月 ?(\d{1,2}) ?日?', '\1-\2-\3 '),
    ' *(?:(?:星期|周)[一二三四五六日天]|(?:Mon|Tues?|Wednes|Thurs?|Fri|Sat(?:ur)?|Sun)(?:day)?) *', ' '),
    '(\d{1,2}) ?[时点] ?(?:(\d{1,2}) ?分? ?)?(?:(\d{1,2}) ?秒)?', '\1:\2:\3'),
    ':+($| )', '\1'),
    ' *上午 *([\d:.]+)', ' \1 AM'),
    ' *下午 *([\d:.]+)', ' \1 PM'));

-- How names of months begin, again and again from January on, and go on: in English, Romance, Germanic and Slavic languages, Turkish
-- and Indonesian
CREATE OR REPLACE MACRO month_name() AS
    '(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|ene|fev|maa|avr|mai|cze|jul|ago|set|out|kas|dez|gen|fév|mrt|abr|mei|giu|lug|aoû|eyl|okt|nov|des|'
    'янв|фев|mär|апр|maj|июн|июл|agu|wrz|ott|ноя|dic|oca|şub|mrz|kwi|mag|haz|tem|ağu|сен|eki|nov|déc|sty|sub|мар|nis|мая|jui|jul|авг|sep|окт|nov|дек|'
    'jan|lut|mar|apr|май|jun|jul|sie|sep|paź|nov|ara|jan|feb|mar|apr|may|jun|jul|aug|sep|paz|nov|gru)'
    '(?:uary|uar|uari|uaro|vier|v|eiro|ro|naio|аря|арь|k|czeń|cznia|ruary|ruar|ruari|rero|braio|ereiro|rier|r|at|y|ego|раля|раль|р|ch|zo|ço|s|z|ec|'
    'ca|rt|т|та|il|ile|ecień|etnia|an|еля|ель|o|ıs|a|gio|e|i|io|ho|gno|n|rwiec|rwca|iran|я|ь|lio|llet|l|iec|muz|ust|ustus|sto|t|stus|stos|rpień|'
    'rpnia|уста|уст|tember|tiembre|embro|tembre|ül|ul|esień|eśnia|тября|тябрь|ober|ubre|obre|ubro|m|dziernik|dziernika|ября|ябрь|ember|iembre|'
    'embre|ım|im|бря|брь|lık|lik|dzień|dnia|абря|абрь)?';
CREATE OR REPLACE MACRO english_month() AS
    'jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?';
-- A text with its first word, where that names a month, as a number: behind the day in any language, else in English, as in `Set 3 2024`
-- it is a thing. French has juin and juillet. In a lambda patterns are compiled
-- for each row: classes of Unicode take ten times as long.
CREATE OR REPLACE MACRO month_as_number(text) AS list_transform(
    [regexp_extract(text, '[^-0-9 .,:/]{3,}')],
    lambda word: CASE WHEN regexp_full_match(lower(word), english_month()) OR (text < 'A' AND regexp_full_match(lower(word), month_name())) THEN replace(replace(text, word || '.', word), word, CAST(
        (position(left(replace(lower(word), 'jui', 'ju'), 3) IN month_name()) - 4) // 4 % 12 + 1 AS VARCHAR)) ELSE text END)[1];

-- Jan 5, 2026, 3:04:05 PM; 5 de enero de 2026; 5/jan/26; Mon, 05 Jan 2026 15:04:05 +0800; 25-Feb-2008 00:20:14; Tue Apr 03 18:00:09 +0000 2012;
-- Thu Oct 16 15:32:46 2014 -0400, of git log
CREATE OR REPLACE MACRO named_month_time(text) AS list_transform(
    [regexp_replace(regexp_replace(regexp_replace(translate(text, '[]', ''), '(?:,| at | d[ei] | г\.|[\s\x{a0}\x{202f}])+', ' ', 'g'),
        '^(?i:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.? )|(?: \([^()]*\))$', '', 'g'),
        '^[^\d]+ (\d{1,2} (?:[^\d ]{4,}|ma[iy]|mei) \d{4})', '\1')],  -- Rédigé le 6 mai 2024, lundi 6 mai 2024
    lambda plain: list_transform([month_as_number(plain)],
        lambda t: list_transform([rtrim(CASE
            WHEN plain < 'A' THEN regexp_replace(
                regexp_replace(t, '^(\d{4}) (\d{1,2}) (\d{1,2})( |$)', '\1-\2-\3\4'), '^(\d{1,2})(?:st|nd|rd|th|\.)?(?:[ /-](\d{1,2})[ /-](\d{4})|/(\d{1,2})/(\d\d))(?:[ :T]|$)', '\3\5-\2\4-\1 ')
            WHEN regexp_matches(t, ' \d{4}(?: [+-]\d{4})?$') AND contains(t, ':') THEN
                regexp_replace(t, '^(\d{1,2}) (\d{1,2}) ([\d:.]+)(?: (\S+))? (\d{4})(?: (\S+))?$', '\5-\1-\2 \3\4\6')
            ELSE regexp_replace(t, '^(\d{1,2}) (\d{1,2})(?:st|nd|rd|th)? (\d{4})( |$)', '\3-\1-\2 ') END)],
            lambda day: CASE WHEN contains(plain, '/') THEN whole_year(day) ELSE day END)[1])[1])[1];

-- 10 or 12 digits that are a day with hour, and minute, in 1900 to 2099; as an epoch they are in 2030 to 2036, or 1976
CREATE OR REPLACE MACRO is_hour(text) AS
    regexp_full_match(text, '(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])(?:[0-5]\d)?');

CREATE OR REPLACE MACRO is_digit(character) AS character BETWEEN '0' AND '9';
CREATE OR REPLACE MACRO time_of_day() AS
    '^(?:[上下]午 ?)?\d{1,2}:\d{1,2}(?::\d{1,2}(?:[.,]\d+)?)?(?:[ \x{a0}\x{202f}]?[AaPp]\.?[Mm]\.?)?$';

-- 06:30 11/10/2023: the day behind the time of day
CREATE OR REPLACE MACRO day_before_clock(text) AS CASE WHEN ':' IN (text[2], text[3])
    THEN regexp_replace(text, '^(\d?\d:\d\d(?::\d\d)?),? (\d.{5,9})$', '\2 \1') ELSE text END;

-- 8, 093005, 9H 30M 5S: times of day beside a date
CREATE OR REPLACE MACRO bare_clock() AS '(?:[01]?\d|2[0-3])(?:[0-5]\d[0-5]\d|H [0-5]?\dM [0-5]?\dS)?';

-- Less usual forms of a time as YYYY-MM-DD HH:MM:SS with their zone, others as they are. `day` is a date in a column of
-- its own, for a text that is a time of day. `dayfirst` NULL: a date such as 03/04/2026 stays as it is, and is no time.
-- Single characters tell the forms apart, much faster than a regular expression for each.
CREATE OR REPLACE MACRO spelled_time(text, day, dayfirst) AS list_transform(
    [CASE WHEN day IS NOT NULL AND (regexp_matches(text, time_of_day()) OR regexp_full_match(text, bare_clock()))
        THEN regexp_replace(day, '[ T]00:00(?::00(?:\.0+)?)?$', '') || ' '
            || regexp_replace(text, '^(\d?\d)(?:(\d\d)(\d\d)|H (\d+)M (\d+)S)$', '\1:\2\4:\3\5')
        ELSE day_before_clock(text) END],
    lambda t: CASE
        WHEN contains(t, '午') OR contains(t, '星期') OR t[5] IN ('年', '년')
            THEN chinese_time(replace(replace(translate(t, '년월일', '年月日'), '오전', '上午'), '오후', '下午'))
        WHEN t IS NULL OR t[5] IN ('-', '/', '.') AND is_digit(t[2]) AND is_digit(t[3]) THEN t
        WHEN is_digit(t[3]) AND is_digit(t[4]) AND is_digit(t[5]) THEN
            CASE WHEN strlen(t) IN (8, 14) OR t[9] IN (' ', 'T', '.') OR (t BETWEEN '19' AND '21' AND is_hour(t)) THEN compact_time(t) ELSE t END
        WHEN t[3] = '.' AND t[4] = ' ' AND is_digit(t[5]) OR t[2] = '.' AND t[3] = ' ' AND is_digit(t[4]) THEN  -- 9. 5. 2018 3:23
            regexp_replace(t, '^(\d{1,2})\. (\d{1,2})\. (\d{4})', '\3-\2-\1')
        WHEN t[3] IN ('/', '-', '.') AND is_digit(t[4]) OR t[2] IN ('/', '-', '.') AND is_digit(t[3]) THEN CASE
            WHEN dayfirst THEN whole_year(rtrim(regexp_replace(t, short_date(), '\3-\2-\1 \4')))
            WHEN NOT dayfirst THEN whole_year(rtrim(regexp_replace(t, short_date(), '\3-\1-\2 \4')))
            ELSE t END
        ELSE named_month_time(t) END)[1];

-- The TIMESTAMP of a text in the forms most exports have (any year first with '-', without an offset or with Z), else NULL.
-- Where it fails, strptime takes ten times as long as a cast. A cast alone would move a time with an offset to UTC.
CREATE OR REPLACE MACRO usual_time(text) AS CASE
    WHEN text < '0' THEN NULL  -- a blank is no digit of the year
    WHEN text LIKE '____-__-__ __:__:__' THEN try_cast(text AS TIMESTAMP)
    WHEN text LIKE '____-%' AND text GLOB '*[0-9Z]' AND NOT contains(text, '+')
        AND NOT contains(substr(text, 9), '-') AND NOT contains(substr(text, 12), ' ')
        THEN try_cast(text AS TIMESTAMP) END;

-- What `usual_time` left over, as a struct of day, clock, half of the day, zone, and hours and minutes of the offset, or NULL.
CREATE OR REPLACE MACRO time_parts(text, usual) AS
    CASE WHEN usual IS NULL AND text[5] IN ('-', '/', '.') THEN regexp_extract(text,
        '^(\d{4}[-/.]\d{1,2}[-/.]\d{1,2})(?:(?:T|_|,|,? +)(\d{1,2}(?::\d{1,2}(?::\d{1,2}(?:[.,]\d+)?)?)?)(?:[ \x{a0}\x{202f}]?([AaPp])\.?[Mm]\.?)?(?: ?(Z|z|UTC|GMT)?(?:([+-]\d{1,2}?)(?::?(\d{2}))?(?: [A-Z]{3,4}|\[[\w/+-]+\])?)?)?)?$',
        ['day', 'clock', 'half', 'zone', 'hours', 'minutes']) END;

-- The time as it is written, a TIMESTAMP in microseconds; NULL if it is none. An epoch is UTC: seconds from 1973 on,
-- milli-, micro- or nanoseconds.
CREATE OR REPLACE MACRO wall_time(text, usual, parts) AS CASE
    WHEN usual IS NOT NULL THEN usual
    WHEN parts.clock <> '' THEN half_day(parts.half, try_cast(split_part(parts.clock, ':', 1) AS INTEGER), try_cast(
        translate(parts.day, '/.', '--') || ' ' || replace(parts.clock, ',', '.')
            || CASE WHEN contains(parts.clock, ':') THEN '' ELSE ':00' END AS TIMESTAMP))
    WHEN parts.day <> '' THEN try_cast(translate(parts.day, '/.', '--') AS TIMESTAMP)
    -- as a number of microseconds an instant has 15 digits until 2001 and 16 from then on
    WHEN regexp_full_match(text, '(?:\d{9,10}|\d{12,13}|\d{15,16}|\d{18,19})(?:\.\d+)?') THEN make_timestamp(CAST(
        left(rpad(replace(text, '.', ''), 16, '0'), 15 + (CASE WHEN strlen(split_part(text, '.', 1)) % 3 = 1 THEN 1 ELSE 0 END)) AS BIGINT))
    END;

-- A time as AM and PM have it.
CREATE OR REPLACE MACRO half_day(half, hour, wall) AS wall + to_hours(CASE
    WHEN half = '' THEN 0
    WHEN half IN ('A', 'a') THEN CASE WHEN hour < 12 THEN 0 WHEN hour = 12 THEN -12 END
    WHEN hour < 12 THEN 12 ELSE 0 END);

-- Whether a text that is no time lacks the day: 7, 2026-01, 202601, Jan 2026, 10:00.
CREATE OR REPLACE MACRO names_no_day(text) AS regexp_matches(text, time_of_day()) OR regexp_full_match(
    month_as_number(text),
    '\d{1,4}(?:\.0+)?|\d{4} ?[-/.年] ?\d{1,2} ?月?|\d{4}(?:0[1-9]|1[0-2])|\d{1,2}月|\d{1,2}[-/.]\d{4}|\d{1,2},? \d{4}');

-- The offset from UTC in seconds that the text names, NULL if it names none. An epoch's is 0.
CREATE OR REPLACE MACRO time_shift(text, usual, parts) AS CASE
    WHEN usual IS NOT NULL THEN CASE WHEN suffix(text, 'Z') THEN 0 END
    WHEN text IS NULL OR (parts.day <> '' AND parts.zone = '' AND parts.hours = '') THEN NULL
    WHEN parts.hours <> '' THEN CAST(parts.hours AS INTEGER) * 3600
        + (CASE parts.hours[1] WHEN '-' THEN -1 ELSE 1 END) * coalesce(try_cast(parts.minutes AS INTEGER), 0) * 60
    ELSE 0 END;

-- The offset in seconds that a column of offsets has: hours up to 14, quarters of an hour in minutes or seconds, +08:00, UTC+8.
CREATE OR REPLACE MACRO offset_shift(text) AS list_transform(
    [CASE WHEN NOT regexp_full_match(text, '[+-](?:0\d|1[0-4])[0-5]\d') THEN try_cast(text AS DOUBLE) END],
    lambda number: CASE
        WHEN number IS NULL THEN list_transform(
            [regexp_extract(text, '^(?:UTC|GMT)?([+-]?)(\d{1,2}):?(\d{2})?$', ['sign', 'hours', 'minutes'])],
            lambda p: (CASE p.sign WHEN '-' THEN -1 ELSE 1 END)
                * (try_cast(p.hours AS INTEGER) * 3600 + coalesce(try_cast(p.minutes AS INTEGER), 0) * 60))[1]
        WHEN abs(number) <= 14 THEN number * 3600
        WHEN abs(number) <= 840 AND number % 15 = 0 THEN number * 60
        WHEN abs(number) <= 50400 AND number % 900 = 0 THEN number END)[1];

-- The time where its year and its offset are believable (offsets in use are below 18 hours), else NULL.
CREATE OR REPLACE MACRO believable_time(wall, shift) AS
    CASE WHEN year(wall) BETWEEN 1900 AND 2299 AND abs(coalesce(shift, 0)) <= 18 * 3600 THEN wall END;

-- The TIMESTAMPTZ of a wall time; one without offset is of `zone`.
CREATE OR REPLACE MACRO moment_of(wall, shift, zone) AS
    CASE WHEN shift IS NULL THEN timezone(zone, wall) ELSE timezone('UTC', wall - to_seconds(shift)) END;

-- The offset from UTC, in seconds, of `zone` at a TIMESTAMPTZ.
CREATE OR REPLACE MACRO shift_in(zone, moment) AS
    CAST(date_diff('second', timezone('UTC', moment), timezone(zone, moment)) AS INTEGER);

-- A decimal comma is a point: 7,5 and 1,25 h; 1,234 may be a thousand.
CREATE OR REPLACE MACRO with_point(text) AS
    CASE WHEN contains(text, ',') THEN regexp_replace(text, '^(\d{1,9}),(\d{1,2})(\D.*)?$', '\1.\2\3') ELSE text END;

-- What is no plain number of seconds, as a list of one struct of days, hours, minutes and seconds.
-- A list, because DuckDB would run the regular expression again for each field of a bare struct.
CREATE OR REPLACE MACRO duration_parts(text, number) AS CASE
    WHEN text IS NULL OR number IS NOT NULL THEN NULL
    WHEN starts_with(lower(text), 'p') THEN [regexp_extract(lower(text),
        '^p(?:(\d{1,12}(?:\.\d{1,9})?)d)?(?:t(?:(\d{1,12}(?:\.\d{1,9})?)h)?(?:(\d{1,12}(?:\.\d{1,9})?)m)?(?:(\d{1,12}(?:\.\d{1,9})?)s)?)?$',
        ['d', 'h', 'm', 's'])]
    WHEN contains(lower(text), ':') THEN
        [regexp_extract(lower(text), '^(?:(\d{1,6})(?: days?,? |\.))?(\d{1,6}):([0-5]?\d):([0-5]?\d(?:\.\d+)?)$', ['d', 'h', 'm', 's'])]
    ELSE [regexp_extract(lower(text), '^{units}$', ['d', 'h', 'm', 's'])] END;

-- The duration in seconds, NULL where the text is none.
CREATE OR REPLACE MACRO duration_seconds(number, parts) AS
    CASE WHEN number IS NOT NULL THEN number WHEN parts IS NOT NULL THEN list_transform(parts, lambda u:
        CASE WHEN u.d <> '' OR u.h <> '' OR u.m <> '' OR u.s <> '' THEN
            coalesce(try_cast(u.d AS DOUBLE), 0) * 86400 + coalesce(try_cast(u.h AS DOUBLE), 0) * 3600
            + coalesce(try_cast(u.m AS DOUBLE), 0) * 60 + coalesce(try_cast(u.s AS DOUBLE), 0) END)[1] END;

-- A number of seconds, floored; NULL where it is negative or longer than 68 years, which no INTEGER holds.
CREATE OR REPLACE MACRO believable_duration(seconds) AS
    CASE WHEN seconds >= 0 AND seconds < 2147483648 THEN CAST(floor(seconds) AS INTEGER) END;
