-- What words mean, by the tables in words.toml.
{if action text}CREATE OR REPLACE MACRO canonical_action(word) AS {canonical};{end}
{if media app}CREATE OR REPLACE MACRO is_platform(word) AS {platform};{end}
{if result}CREATE OR REPLACE MACRO is_failure(word) AS {failure};
-- "failed purchase", 购买失败: the name of an action that came to nothing, so that no purchase is seen in it
CREATE OR REPLACE MACRO failed_action(action, canonical, result) AS
    CASE WHEN action IS NULL OR starts_with(result, action) THEN {said}
        WHEN strlen({said}) = length({said}) THEN {said} || ' ' || coalesce(canonical, action)
        ELSE action || {said} END;{end}
{if marker}CREATE OR REPLACE MACRO marker_kind(word) AS CAST({kind} AS TINYINT);
CREATE OR REPLACE MACRO marker_family(word) AS {family};{end}
{if text}CREATE OR REPLACE MACRO sentence_action(parts) AS {sentence_action};{end}
