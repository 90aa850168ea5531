"""Writes neo4j-*.csv, nodes and relationships, from events.parquet and events.journeys.parquet."""

import duckdb

files = {
    "users.csv": """SELECT DISTINCT user_id AS "user_id:ID(User)", 'User' AS ":LABEL" FROM 'events.parquet' ORDER BY 1""",
    "events.csv": """SELECT id AS "event:ID(Event)", type, category, start AS "start:localdatetime",
        "end" AS "end:localdatetime", summary, 'Event' AS ":LABEL" FROM 'events.parquet'""",
    "journeys.csv": """SELECT id AS "journey:ID(Journey)", kind, name, converted AS "converted:boolean", 'Journey' AS ":LABEL"
        FROM 'events.journeys.parquet'""",
    "did.csv": """SELECT user_id AS ":START_ID(User)", id AS ":END_ID(Event)", 'DID' AS ":TYPE" FROM 'events.parquet'""",
    "part.csv": """SELECT id AS ":START_ID(Event)", journey AS ":END_ID(Journey)", 'PART_OF' AS ":TYPE"
        FROM 'events.parquet' WHERE journey IS NOT NULL""",
    "next.csv": """SELECT lag(id) OVER each AS ":START_ID(Event)", id AS ":END_ID(Event)", 'NEXT' AS ":TYPE"
        FROM 'events.parquet' WINDOW each AS (PARTITION BY user_id ORDER BY start, "end") QUALIFY lag(id) OVER each IS NOT NULL""",
}
for name, query in files.items():
    duckdb.sql(f"COPY ({query}) TO 'neo4j-{name}' (HEADER, TIMESTAMPFORMAT '%Y-%m-%dT%H:%M:%S')")
