-- What the days and behaviors of each user of a group cost.
WITH body_costs AS (SELECT unnest(range(len($bodies))) AS name, unnest($bodies) AS body),
duration_costs AS (SELECT unnest($durations) AS duration, unnest($lasting) AS lasting),
clock_costs AS (SELECT unnest(range(24 * 60)) AS minute, unnest($clocks) AS clock),
day_costs AS (SELECT unnest(range(len($days))) AS kind, unnest($days) AS header)
SELECT user_number, sum(cost)
FROM (
    SELECT user_number, sum(clock + body + coalesce(lasting, 0)) AS cost
    FROM group_rows JOIN body_costs USING (name) JOIN clock_costs USING (minute)
    LEFT JOIN duration_costs USING (duration) GROUP BY user_number
    UNION ALL
    SELECT user_number, sum(header) FROM group_days
    JOIN day_kinds USING (day, starts_year) JOIN day_costs USING (kind) GROUP BY user_number)
GROUP BY user_number
