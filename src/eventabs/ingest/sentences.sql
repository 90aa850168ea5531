{if text}-- Sentences that hold the facts of a structured row -> those facts.
-- 在XX西餐厅停留 1小时14分钟      浏览A 在B上 292秒      使用A 13分钟      搜索Q 在B
-- 点击A 在B      对比A 在B      将A加入购物车 在B      购买A 在B      收藏A 在B

-- A struct of verb, item, place and duration. The verb is "" or the whole is NULL where the sentence fits no pattern.
CREATE OR REPLACE MACRO sentence_parts(sentence) AS CASE
    -- what no visit lacks is looked for first: the regular expression is slow where it fails
    WHEN starts_with(sentence, '在') AND (contains(sentence, '停留') OR contains(sentence, '逗留')) THEN
        regexp_extract(sentence, '^(在)(.+?)(?:停留|逗留)() ?({duration})?$', ['verb', 'item', 'place', 'duration'])
    WHEN left(sentence, 1) IN ('将', '把') AND contains(sentence, '加入购物车') THEN
        regexp_extract(sentence, '^(将|把)(.+?)加入购物车(?: 在(.+?))?(?: ({duration}))?$', ['verb', 'item', 'place', 'duration'])
    WHEN left(sentence, 2) IN ({listed_verbs}) THEN
        regexp_extract(sentence, '^({verbs}) ?(.+?)(?: 在(.+?))?(?: ({duration}))?$', ['verb', 'item', 'place', 'duration'])
    END;

CREATE OR REPLACE MACRO is_bare_search(parts) AS parts.verb = '搜索' AND parts.place = '';

-- What the sentence is about. A search without a site owns its last words: 搜索深圳天气 30分钟.
CREATE OR REPLACE MACRO sentence_item(parts) AS
    CASE WHEN is_bare_search(parts) AND parts.duration <> '' THEN parts.item || ' ' || parts.duration ELSE parts.item END;

-- Where else, "" if nowhere. On a site one is 上; a shop's name may well end so.
CREATE OR REPLACE MACRO sentence_place(parts, action) AS CASE
    WHEN action IN ('browse', 'search', 'click', 'compare') AND length(parts.place) > 1 AND ends_with(parts.place, '上')
        THEN left(parts.place, -1) ELSE parts.place END;

-- The text of the duration, NULL if there is none.
CREATE OR REPLACE MACRO sentence_duration(parts) AS
    CASE WHEN NOT (is_bare_search(parts)) THEN nullif(parts.duration, '') END;

-- The facts of a row with an action and a description, which is that action in words: what the words repeat is said once.

-- A text without the duration that ends it, and that duration in hours, minutes and seconds, "" for none.
CREATE OR REPLACE MACRO split_text(text) AS
    regexp_extract(text, '^(.*?)(?: for|[ ,，、:：;；])*[(（]?{ending}[)）]?$', ['words', 'h', 'm', 's']);
CREATE OR REPLACE MACRO split_seconds(split) AS coalesce(try_cast(split.h AS DOUBLE), 0) * 3600
    + coalesce(try_cast(split.m AS DOUBLE), 0) * 60 + coalesce(try_cast(split.s AS DOUBLE), 0);

-- Whether that is how long the action lasted: no clock (7时30分) and no marks (95分), and a search, or what a person wrote, owns its last words.
CREATE OR REPLACE MACRO says_how_long(text, action) AS regexp_matches(text, '(?:小时|分钟|秒|hour|hr|min|sec)[^ ]*$')
    AND action NOT IN ('click', 'search', 'compare', 'cart', 'favorite', 'purchase',
        'message', 'chat', 'comment', 'post', 'tweet', 'retweet', 'reply', 'review', 'mail', 'email', 'note',
        '消息', '聊天', '发言', '评论', '发帖', '回复', '留言', '评价', '邮件', '笔记');

-- Whether a text has a name in it: a Latin one as whole words, one of a single other character never.
CREATE OR REPLACE MACRO latin_words(text) AS ' ' || trim(regexp_replace(lower(text), '[^a-z0-9]+', ' ', 'g')) || ' ';
CREATE OR REPLACE MACRO has_name(text, name) AS CASE
    WHEN strlen(name) = length(name) THEN contains(latin_words(text), latin_words(name))
    ELSE length(name) > 1 AND contains(lower(text), lower(name)) END;

-- Whether a text says the action itself, by the export's own word (`word`, as the beginning of a Latin one) or by the verb that it opens with.
CREATE OR REPLACE MACRO tells_action(text, word, action) AS
    CASE WHEN strlen(word) = length(word) THEN contains(latin_words(text), rtrim(latin_words(word))) ELSE contains(text, word) END
    OR CASE action {opening_verbs} ELSE false END;

-- Both texts, or the one that has the other in it. A place that was visited comes first.
CREATE OR REPLACE MACRO both_texts(text, thing, action) AS CASE
    WHEN thing IS NULL OR has_name(text, thing) THEN text
    WHEN text = '' OR has_name(thing, text) THEN thing
    WHEN action = 'visit' THEN thing || ' ' || text
    ELSE text || ' ' || thing END;{end}
