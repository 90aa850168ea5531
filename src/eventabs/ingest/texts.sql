-- Texts without white at their ends, and in the form in which they are compared.

-- `trim` with a set of characters is slow, and so is a character's look-up in a list
CREATE OR REPLACE MACRO trimmed(text) AS
    CASE WHEN text < '!' OR (text >= chr(160) AND unicode(text) IN (160, 12288, 65279))
        OR contains({white}, text[-1]) THEN nullif(trim(text, {white}), '') ELSE text END;

-- translate is slow
CREATE OR REPLACE MACRO plain_word(text) AS lower(CASE WHEN {separated} THEN translate(text, '{separators}', '') ELSE text END);

CREATE OR REPLACE MACRO readable_user(id) AS CASE WHEN strlen(id) <= {longest} THEN id END;
