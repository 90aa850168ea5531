-- What a row with an action and a description says: `words` and `site`; `is_told`: the words say the action too.
SELECT * REPLACE (CASE WHEN words IS NOT NULL AND has_name(words, site) THEN '' ELSE coalesce(site, '') END AS site),
    -- CASE: the operands of AND are all computed
    CASE WHEN words IS NOT NULL AND sentence_action IS NULL AND named_action = coalesce(canonical, action)
        THEN CASE named_action WHEN 'visit' THEN words IS DISTINCT FROM place
            ELSE tells_action(words, action, named_action) END ELSE false END AS is_told
FROM (
    SELECT *, both_texts(said, thing, named_action) AS words
    FROM (
        SELECT *,
            CASE WHEN description IS NULL THEN NULL
                WHEN sentence_action IS NOT NULL THEN sentence_item(parts)
                WHEN ending_seconds > 0 AND abs(seconds - ending_seconds) < 60 THEN ending.words
                ELSE description END AS said,
            CASE WHEN description IS NULL THEN NULL
                WHEN named_action = 'visit' THEN coalesce(place, item, app, media)
                WHEN named_action = 'use' THEN coalesce(app, item, media, place)
                ELSE item END AS thing,
            CASE WHEN description IS NULL OR named_action IN ('visit', 'use') THEN NULL
                WHEN sentence_place <> '' THEN sentence_place
                WHEN named_action = 'purchase' THEN coalesce(place, media, app)
                ELSE coalesce(media, app, place) END AS site
        FROM zoned
    )
)
