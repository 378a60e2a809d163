-- A tool-lending library: members borrow tools, and each tool exists once.

CREATE TABLE member (
    member_id  INTEGER PRIMARY KEY,
    nickname   TEXT NOT NULL UNIQUE
);

CREATE TABLE tool (
    tool_id    INTEGER PRIMARY KEY,
    label      TEXT NOT NULL,
    max_days   INTEGER NOT NULL CHECK (max_days > 0)
);

CREATE TABLE loan (
    loan_id    INTEGER PRIMARY KEY,
    tool_id    INTEGER NOT NULL REFERENCES tool,
    member_id  INTEGER NOT NULL REFERENCES member,
    taken_on   TEXT NOT NULL,
    back_on    TEXT,
    CHECK (back_on IS NULL OR back_on >= taken_on)
);

-- A partial index guarantees that no tool is out twice at the same time.
CREATE UNIQUE INDEX one_open_loan ON loan (tool_id) WHERE back_on IS NULL;

INSERT INTO member (nickname) VALUES ('Wren'), ('Bastian'), ('Odile');
INSERT INTO tool (label, max_days) VALUES
    ('belt sander', 3), ('tile cutter', 7), ('apple press', 2), ('post driver', 5);
INSERT INTO loan (tool_id, member_id, taken_on, back_on) VALUES
    (1, 1, '2031-04-02', '2031-04-04'),
    (1, 2, '2031-04-05', '2031-04-12'),
    (2, 1, '2031-04-03', NULL),
    (3, 3, '2031-04-10', '2031-04-11'),
    (1, 3, '2031-04-13', NULL);

-- Days out per loan, counting open loans up to a fixed reporting date.
CREATE VIEW loan_length AS
SELECT loan_id, tool_id, member_id, back_on IS NULL AS still_out,
       CAST(julianday(COALESCE(back_on, '2031-04-20')) - julianday(taken_on) AS INTEGER) AS days
FROM loan;

-- Who kept something too long, and by how many days?
SELECT m.nickname, t.label, l.days - t.max_days AS days_late, l.still_out
FROM loan_length AS l
JOIN tool   AS t USING (tool_id)
JOIN member AS m USING (member_id)
WHERE l.days > t.max_days
ORDER BY days_late DESC, m.nickname;

-- Popularity ranking that keeps tools nobody has borrowed yet.
SELECT t.label, COUNT(l.loan_id) AS loans, COALESCE(SUM(l.days), 0) AS days_out,
       RANK() OVER (ORDER BY COUNT(l.loan_id) DESC) AS position
FROM tool AS t
LEFT JOIN loan_length AS l USING (tool_id)
GROUP BY t.tool_id
ORDER BY position, t.label;
