"""The view's longer statements."""

ENTRY = """
SELECT change.revision, change.offset, change.flags, context.packed, content.packed, image.sha256, medium.name
FROM name
JOIN change ON change.name = name.id
JOIN content ON content.id = change.content
JOIN context ON context.id = content.context
JOIN image ON image.id = content.image
JOIN medium ON medium.id = content.medium
WHERE name.project = :project AND name.name = :name AND change.offset <= :at
ORDER BY change.offset DESC LIMIT 1
"""

SAID_OF = """
SELECT content.packed FROM image JOIN content ON content.image = image.id WHERE image.project = ? AND image.sha256 = ?
"""

STATUSES = """
SELECT name.name, change.revision, max(change.offset), change.flags
FROM json_each(:names) AS asked
JOIN name ON name.project = :project AND name.name = asked.value
JOIN change ON change.name = name.id
GROUP BY name.id
"""

# With max(), SQLite takes the other columns from the row that holds the maximum.
_LATEST = """
latest AS (
  SELECT name, max(offset) AS offset, revision, flags, content FROM change WHERE offset <= :at GROUP BY name
)
"""

# Of the annotations of one image the newest validated one stands, else (where they count) the newest of the
# others; of those that one message settled, the first by name.
STANDING = f"""
WITH {_LATEST},
standing AS (
  SELECT latest.*, content.image AS image, name.name AS text, row_number() OVER (
    PARTITION BY content.image ORDER BY latest.flags DESC, latest.offset DESC, name.name
  ) AS place
  FROM latest JOIN content ON content.id = latest.content JOIN name ON name.id = latest.name
  WHERE (latest.flags = 1 OR (latest.flags = 0 AND :unvalidated)) AND name.project = :project
)
SELECT standing.text, standing.revision, standing.offset, standing.flags, context.packed, content.packed,
  image.sha256, medium.name, medium.split
FROM standing
JOIN content ON content.id = standing.content
JOIN context ON context.id = content.context
JOIN image ON image.id = standing.image
JOIN medium ON medium.id = image.medium
WHERE standing.place = 1
ORDER BY standing.image
"""  # noqa: S608 - put together from constants

# An annotation may have shown several images; the number grows with the order in which contents came.
HOMES = """
SELECT name.name, medium.name, medium.split, min(content.id)
FROM change
JOIN name ON name.id = change.name
JOIN content ON content.id = change.content
JOIN image ON image.id = content.image
JOIN medium ON medium.id = image.medium
WHERE name.project = :project AND change.offset <= :at
GROUP BY name.id, medium.id
ORDER BY name.name, medium.name
"""

# CROSS JOIN: by the index over what was validated. SQLite itself would walk through every name of the project.
VALIDATIONS = """
SELECT change.offset FROM change CROSS JOIN name ON name.id = change.name
WHERE change.flags = 1 AND change.offset > :after AND name.project = :project
ORDER BY change.offset
"""

# The newest of them up to an offset.
NEWEST_VALIDATION = """
SELECT change.offset FROM change CROSS JOIN name ON name.id = change.name
WHERE change.flags = 1 AND change.offset <= :at AND name.project = :project
ORDER BY change.offset DESC LIMIT 1
"""

# A change that brings no content keeps the one that was there.
CHANGE = """
INSERT OR REPLACE INTO change (name, offset, revision, flags, content)
SELECT name, :offset, :revision, :flags, content FROM change
WHERE name = (SELECT id FROM name WHERE project = :project AND name = :name)
ORDER BY offset DESC LIMIT 1
"""

CHANGE_WITH_CONTENT = """
INSERT OR REPLACE INTO change (name, offset, revision, flags, content)
VALUES (:name, :offset, :revision, :flags, :content)
"""
