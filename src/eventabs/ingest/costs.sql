-- What the days and behaviors of each user of a group cost.
WITH body_costs AS (
    SELECT unnest(range(len($body))) AS name, unnest($body) AS body, unnest($body_end) AS body_end),
duration_costs AS (
    SELECT unnest($durations) AS duration, unnest($lasting) AS lasting, unnest($lasting_end) AS lasting_end),
clock_costs AS (SELECT unnest(range(24 * 60)) AS minute, unnest($clocks) AS clock),
day_costs AS (SELECT unnest(range(len($days))) AS kind, unnest($days) AS header)
SELECT user_number, sum(cost)
FROM (
    SELECT user_number, sum(clock + CASE WHEN duration IS NULL THEN body_end ELSE body + lasting_end END) AS cost
    FROM group_rows JOIN body_costs USING (name) JOIN clock_costs USING (minute)
    LEFT JOIN duration_costs USING (duration) GROUP BY user_number
    UNION ALL
    SELECT user_number, sum(header) FROM group_days
    JOIN day_kinds USING (day, starts_year) JOIN day_costs USING (kind) GROUP BY user_number)
GROUP BY user_number
