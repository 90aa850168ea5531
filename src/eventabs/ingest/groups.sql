-- The tables of a group of users, whose rows lie from {first} to {last}: numbers in the place of texts, for joins and sums.

CREATE OR REPLACE TEMP TABLE group_users AS
SELECT user_id, row_number() OVER (ORDER BY min(rowid)) - 1 AS user_number
FROM behaviors WHERE rowid BETWEEN {first} AND {last} GROUP BY user_id;

-- What behaviors have in common. `free_text` stands apart from items, which are mostly numbers (see sort_and_pair.py).
CREATE OR REPLACE TEMP TABLE group_names AS
SELECT row_number() OVER () - 1 AS name, *,
    translate(concat_ws('|', action, coalesce(item, free_text), place),
        'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz') AS folded
FROM (
    SELECT action, item, CASE WHEN item IS NULL THEN text END AS free_text, place, duration IS NOT NULL AS timed
    FROM behaviors WHERE rowid BETWEEN {first} AND {last} AND reason IS NULL GROUP BY ALL);

CREATE OR REPLACE TEMP TABLE group_rows AS
SELECT row, user_number, name, duration, CAST(start AS DATE) AS day,
    hour(start) * 60 + minute(start) AS minute
FROM (
    SELECT rowid AS row, user_id, start, action, item, CASE WHEN item IS NULL THEN text END AS free_text, place, duration
    FROM behaviors WHERE rowid BETWEEN {first} AND {last} AND reason IS NULL) b
JOIN group_names n ON n.action = b.action AND n.place = b.place AND n.timed = (b.duration IS NOT NULL)
    AND n.item IS NOT DISTINCT FROM b.item AND n.free_text IS NOT DISTINCT FROM b.free_text
JOIN group_users USING (user_id);

-- Days as lines have them: one comes twice where the wall time falls back to the day before, as it may where the offset changes.
CREATE OR REPLACE TEMP TABLE group_days AS
SELECT user_number, day, year(day) IS DISTINCT FROM year(before) AS starts_year
FROM (SELECT user_number, day, lag(day) OVER (PARTITION BY user_number ORDER BY row) AS before FROM group_rows)
WHERE day IS DISTINCT FROM before;

CREATE OR REPLACE TEMP TABLE day_kinds AS
SELECT row_number() OVER () - 1 AS kind, *
FROM (SELECT DISTINCT day, starts_year FROM group_days);
