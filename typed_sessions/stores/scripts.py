"""The Lua scripts of the Redis store. Each is atomic, declares every key it touches, and may be repeated.

``KEYS[1]`` is the record. On one node the keys of the index follow, and are written in the same round trip: the two
lists of the session's kind, by last use and by expiry, and its owners, which are its user and addresses. On a cluster
those live in other slots and are written afterwards.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Any, NamedTuple

RESERVED = "+"
"""Before an id in the index of a user: a place that is kept for a session that is about to be stored."""


class Script(NamedTuple):
    source: str
    sha: str


class Command(NamedTuple):
    """A Redis command, or a script with its keys and arguments."""

    name: str | Script
    keys: tuple[str, ...]
    args: tuple[Any, ...] = ()


_COMMON = """
local function ended(value)
  return string.find(string.sub(value, 1, 24), 'ended', 1, true)
end
local function holds(head, stamp)
  if ended(head) then return false end  -- one that is being announced has its record within
  local at = string.find(head, 'revision', 1, true)
  return at and string.sub(head, at, at + #stamp - 1) == stamp
end
local function clocks(text)
  return string.find(text, 'seen', 1, true), string.find(text, 'revision', 1, true) - 1
end
local function with_clocks_of(head, value)
  local from, to = clocks(head)
  local at, last = clocks(string.sub(value, 1, 128))
  if to - from ~= last - at then return value end  -- the other format
  return string.sub(value, 1, at - 1) .. string.sub(head, from, to) .. string.sub(value, last + 1)
end
local function enter(key, id, score, ttl, forward)  -- forward: to a later score only
  if forward then redis.call('ZADD', key, 'GT', score, id) else redis.call('ZADD', key, score, id) end
  if redis.call('TTL', key) < tonumber(ttl) then redis.call('EXPIRE', key, ttl) end
end
local function index(first, listed, id, seen, expires, ttl, owner_ttl, forward)  -- listed: the lists are there too
  if listed then
    enter(KEYS[first], id, seen, ttl, forward)
    enter(KEYS[first + 1], id, expires, ttl, forward)
    first = first + 2
  end
  for i = first, #KEYS do enter(KEYS[i], id, expires, owner_ttl, forward) end
end
local function trim(first, dead)
  for i = first, #KEYS do redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', '(' .. dead) end
end
local function count(key, field, ttl)
  if redis.call('HINCRBY', key, field, 1) == 1 then redis.call('EXPIRE', key, ttl) end
end
local function drop(ids)
  for i, id in ipairs(ids) do
    for j, key in ipairs(KEYS) do
      local done = redis.pcall('ZREM', key, id)
      if type(done) == 'table' then return false end  -- a Redis that takes no writes can still be read
    end
  end
  return #ids > 0
end
"""


def _script(body: str) -> Script:
    source = _COMMON + body
    return Script(source, sha1(source.encode(), usedforsecurity=False).hexdigest())


TALLY_LIFE = 7200
"""Seconds that it is remembered what happened within an hour."""

# KEYS[2] is the tally, and on a cluster not there. 1 done, 2 was done before, 0 the id is taken.
CREATE = _script("""
local value, ttl, own, id, seen, expires, index_ttl, owner_ttl, dead, minute, tally_ttl = unpack(ARGV)
local done = 1
if redis.call('SET', KEYS[1], value, 'NX', 'EX', ttl) then
  if KEYS[2] then count(KEYS[2], minute .. ' started', tally_ttl) end
elseif not holds(redis.call('GETRANGE', KEYS[1], 0, 127), own) then
  return 0
else
  done = 2
end
if KEYS[2] then index(3, true, id, seen, expires, index_ttl, owner_ttl) end
trim(5, dead)
return done
""")

# {1} saved, {0, what is there instead}, {-1} nothing is there. The first ``left`` keys after the record are those of
# the index that it leaves.
SAVE = _script("""
local value, ttl, own, id, seen, expires, index_ttl, owner_ttl, dead, base, keeps, listed, left = unpack(ARGV)
local head = redis.call('GETRANGE', KEYS[1], 0, 127)
if head == '' then return {-1} end
if not holds(head, own) then
  if not holds(head, base) then return {0, redis.call('GET', KEYS[1])} end
  if keeps == '1' then
    redis.call('SET', KEYS[1], with_clocks_of(head, value), 'KEEPTTL')
  else
    redis.call('SET', KEYS[1], value, 'EX', ttl)
  end
end
for i = 2, 1 + left do redis.call('ZREM', KEYS[i], id) end
index(2 + left, listed == '1', id, seen, expires, index_ttl, owner_ttl, keeps == '1')
return {1}
""")

# As SAVE; KEYS[2] is the record that is replaced, and the lists that it stood in follow, before what else it leaves.
REPLACE = _script("""
local value, ttl, own, id, seen, expires, index_ttl, owner_ttl, dead = unpack(ARGV)
local base, tombstone, tombstone_ttl, base_id, left = unpack(ARGV, 10)
if not holds(redis.call('GETRANGE', KEYS[1], 0, 127), own) then
  local head = redis.call('GETRANGE', KEYS[2], 0, 127)
  if head == '' then return {-1} end
  if not holds(head, base) then return {0, redis.call('GET', KEYS[2])} end
  redis.call('SET', KEYS[1], value, 'EX', ttl)
  redis.call('SET', KEYS[2], tombstone, 'EX', tombstone_ttl)
end
for i = 3, #KEYS do redis.call('ZREM', KEYS[i], base_id) end
index(5 + left, true, id, seen, expires, index_ttl, owner_ttl)
trim(7 + left, dead)
return {1}
""")

# As SAVE, but puts a tombstone: the second half of a replacement on a cluster.
BURY = _script("""
local tombstone, ttl, base, nonce = unpack(ARGV)
local head = redis.call('GETRANGE', KEYS[1], 0, 127)
if head == '' then return {-1} end
if ended(head) and string.find(head, nonce, 1, true) then return {1} end
if not holds(head, base) then return {0, redis.call('GET', KEYS[1])} end
redis.call('SET', KEYS[1], tombstone, 'EX', ttl)
return {1}
""")

# The clocks have a fixed width in both formats, so they are overwritten where they stand.
TOUCH = _script("""
local seen, expires, ttl, id, index_ttl, owner_ttl = unpack(ARGV)
local head = redis.call('GETRANGE', KEYS[1], 0, 127)
local at = string.find(string.sub(head, 1, 24), 'seen', 1, true)
if not at then return 0 end
local json = string.sub(head, 1, 1) == '{'
local function forward(name, new)
  local first = string.find(head, name, 1, true) + #name + (json and 2 or 1)
  -- msgpack takes eight bytes from the year 2106 on, and says so in the byte before.
  local width = json and 10 or (string.byte(head, first - 1) == 207 and 8 or 4)
  local text = string.sub(head, first, first + width - 1)
  local old = json and tonumber(text) or struct.unpack('>I' .. width, text)
  if old >= tonumber(new) then return false end
  if width == 4 then new = math.min(tonumber(new), 4294967295) end
  redis.call('SETRANGE', KEYS[1], first - 1, json and new or struct.pack('>I' .. width, tonumber(new)))
  return true
end
forward('seen', seen)
if forward('expires', expires) then redis.call('EXPIRE', KEYS[1], ttl) end
if #KEYS > 1 then index(2, true, id, seen, expires, index_ttl, owner_ttl, true) end
return 1
""")

# The keys of all lists follow, and of the user if it is known, and at last the tally; on a cluster nothing does.
END = _script("""
local tombstone, ttl, lingers, id, user_prefix, event, tally_ttl = unpack(ARGV)
local value = redis.call('GET', KEYS[1])
if not value or ended(value) then return false end
-- For as long as the session would have waited for its visitor, if that is not who has ended it.
if lingers ~= '' then ttl = math.max(ttl, redis.call('TTL', KEYS[1]) - lingers) end
local buried = redis.pcall('SET', KEYS[1], tombstone, 'EX', ttl)
-- A Redis that is full takes no tombstone, and must let people sign out all the same.
if type(buried) == 'table' and buried.err then redis.call('DEL', KEYS[1]) end
for i = 2, #KEYS - 1 do redis.call('ZREM', KEYS[i], id) end
if #KEYS > 1 and event ~= '' then
  redis.pcall('HINCRBY', KEYS[#KEYS], event, 1)
  redis.pcall('EXPIRE', KEYS[#KEYS], tally_ttl)
end
if user_prefix ~= '' then
  -- Whose it is stands in the record. On one node a key may be made up on the way; on a cluster this is not asked for.
  local user = string.match(string.sub(value, 1, 512), '"user":"([^"\\\\]+)","type"')
  if user then redis.call('ZREM', user_prefix .. user, id) end
end
return value
""")

# Keys of the index that are in one slot of a cluster, with a score for each.
INDEX = _script("""
local id, ttl, forward, dead = unpack(ARGV)
for i, key in ipairs(KEYS) do enter(key, id, ARGV[4 + i], ttl, forward == '1') end
if dead ~= '' then trim(1, dead) end
return 1
""")

# Takes members out of several keys. Answers how many entries that were.
DROP = _script("""
local removed = 0
for i, key in ipairs(KEYS) do removed = removed + redis.call('ZREM', key, unpack(ARGV)) end
return removed
""")

# How many sessions of each kind are live, or of those how many stand in the first half of KEYS with a score that is
# ``low`` or more, and less than ``high``.
COUNT = _script("""
local now, low, high = unpack(ARGV)
local counts, half = {}, #KEYS / 2
for i = 1, half do
  local live = redis.call('ZCOUNT', KEYS[half + i], '(' .. now, '+inf')
  local chosen = (low == '-inf' and high == '+inf') and live or redis.call('ZCOUNT', KEYS[i], low, '(' .. high)
  counts[i] = math.min(live, chosen)
end
return counts
""")

# A page of the lists in the first half of KEYS, merged, without those that have expired since by the second half, where
# expiries are. Entries that promise a record which is not there leave the index, and others take their places, for a
# few turns; on a cluster, where records are elsewhere, there is no root to look under, and entries that have lost their
# other half are answered by themselves. What has expired stays for who announces it.
NEWEST = _script("""
local offset, limit, now, root, low, high, ascending = unpack(ARGV)
offset, limit, now = tonumber(offset), tonumber(limit), tonumber(now)
local half = #KEYS / 2
local function counted(i, from, below) return redis.call('ZCOUNT', KEYS[i], from, below) end
-- How many entries a list has above those that are meant, and how many of those it has itself.
local function sizes()
  local above, total = {}, 0
  for i = 1, half do
    above[i] = high == '+inf' and 0 or counted(i, high, '+inf')
    total = total + counted(i, low, '(' .. high)
  end
  return above, total
end
-- The highest and lowest score of all that are meant.
local function reach(above)
  local top, bottom
  for i = 1, half do
    local first = redis.call('ZREVRANGE', KEYS[i], above[i], above[i], 'WITHSCORES')[2]
    local last = low ~= '-inf' and low or redis.call('ZRANGE', KEYS[i], 0, 0, 'WITHSCORES')[2]
    if first then top = math.max(top or tonumber(first), tonumber(first)) end
    if last then bottom = math.min(bottom or tonumber(last), tonumber(last)) end
  end
  return math.floor(bottom), math.ceil(top)
end
local function from(score)
  local count = 0
  for i = 1, half do count = count + counted(i, score, '(' .. high) end
  return count
end
-- At which rank of each list the page begins, of which ``skipped`` entries come before: the score is searched at which
-- it begins, and of those that have this very score one list comes after the other.
local function starts(above, skipped)
  if skipped == 0 then return above end
  local bottom, top = reach(above)
  while bottom < top do
    local middle = math.floor((bottom + top + 1) / 2)
    if from(middle) > skipped then bottom = middle else top = middle - 1 end
  end
  local begins, left = {}, skipped - from(bottom + 1)
  for i = 1, half do
    local tied = counted(i, bottom, '(' .. (bottom + 1))
    local passed = math.min(left, tied)
    begins[i] = above[i] + counted(i, bottom + 1, '(' .. high) + passed
    left = left - passed
  end
  return begins
end
-- ``size`` entries from there on, the highest score first, each as its id and its list.
local function merged(begins, size)
  local lists, at, page = {}, {}, {}
  for i = 1, half do
    lists[i] = size > 0 and redis.call('ZREVRANGE', KEYS[i], begins[i], begins[i] + size - 1, 'WITHSCORES') or {}
    at[i] = 1
  end
  while #page < size do
    local best
    for i = 1, half do
      local score = tonumber(lists[i][at[i] + 1])
      if score and (not best or score > tonumber(lists[best][at[best] + 1])) then best = i end
    end
    if not best then break end
    table.insert(page, {lists[best][at[best]], best})
    at[best] = at[best] + 2
  end
  return page
end
local function page(skipped)
  local above, total = sizes()
  local size = math.max(0, math.min(limit, total - skipped))
  if size == 0 then return {} end
  if ascending ~= '1' then return merged(starts(above, skipped), size) end
  local turned, found = {}, merged(starts(above, total - skipped - size), size)
  for i = #found, 1, -1 do table.insert(turned, found[i]) end
  return turned
end
local live, halves, kept, wanted = {}, {}, 0, limit
for turn = 1, 10 do
  local gone = {}
  for _, entry in ipairs(page(offset + kept)) do
    local id, list = unpack(entry)
    local expires = redis.call('ZSCORE', KEYS[half + list], id)
    local is_over = expires and tonumber(expires) <= now
    if root ~= '' and not is_over and redis.call('EXISTS', root .. id) == 0 then
      table.insert(gone, id)
    else
      kept = kept + 1
      if not is_over then table.insert(expires and live or halves, id) end
      if kept == wanted then break end
    end
  end
  local has_dropped = drop(gone)
  if kept == wanted and #live == 0 and #halves == 0 then
    wanted = wanted + limit  -- all of the page has expired, and that is not the end of the list
  elseif kept == wanted or not has_dropped then
    break
  end
end
return {live, halves}
""")

# The ids that an owner's key leads to, likewise. The first entries are looked up, as many as anybody has.
OF_USER = _script("""
local now, root = unpack(ARGV)
local live, gone = {}, {}
for i, id in ipairs(redis.call('ZREVRANGEBYSCORE', KEYS[1], '+inf', '(' .. now)) do
  if string.sub(id, 1, 1) ~= '+' then  -- a place that is kept is no session
    local is_gone = i <= 1000 and redis.call('EXISTS', root .. id) == 0
    table.insert(is_gone and gone or live, id)
  end
end
drop(gone)
return live
""")

# Members of any list by expiry whose time is over, the longest ago first, ``limit`` at most.
OVERDUE = _script("""
local last, limit = ARGV[1], tonumber(ARGV[2])
local found = {}
for i, key in ipairs(KEYS) do
  local flat = redis.call('ZRANGEBYSCORE', key, '-inf', last, 'WITHSCORES', 'LIMIT', 0, limit)
  for at = 1, #flat, 2 do table.insert(found, {flat[at], tonumber(flat[at + 1])}) end
end
table.sort(found, function (one, other) return one[2] < other[2] end)
local ids = {}
for i = 1, math.min(limit, #found) do ids[i] = found[i][1] end
return ids
""")

# Takes out of the lists what expired before ``before``, ``limit`` of each kind at most. Answers how many that were.
CLEAR = _script("""
local before, limit = unpack(ARGV)
local removed, half = 0, #KEYS / 2
for i = 1, half do
  local ids = redis.call('ZRANGEBYSCORE', KEYS[half + i], '-inf', '(' .. before, 'LIMIT', 0, limit)
  if #ids > 0 then
    redis.call('ZREM', KEYS[i], unpack(ids))
    removed = removed + redis.call('ZREM', KEYS[half + i], unpack(ids))
  end
end
return removed
""")

# Counts several events at once. Arguments: the time to live, and for each event its field and how often.
COUNT_EVENTS = _script("""
for i = 2, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
""")

# Arguments: the time of the sample, the sample, and for how long samples are kept, by the server's own clock if it may
# be asked: a machine whose clock is ahead must not take what all others have kept.
SAMPLE = _script("""
local at, sample, ttl = unpack(ARGV)
local now = redis.pcall('TIME')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. math.min(at, now[1] or at) - ttl)
if redis.call('ZCOUNT', KEYS[1], at, at) == 0 then redis.call('ZADD', KEYS[1], at, sample) end
redis.call('EXPIRE', KEYS[1], ttl)
return 1
""")

# Whatever the server believes; the key says which node of a cluster is asked.
TIME = _script("""
return tonumber(redis.call('TIME')[1])
""")

# Ends in place those records that are as they were read. For each, 1 if that was done, 0 if it has changed, -1 if it is
# gone. Arguments: the time to live, and for each key the first bytes as they were read, and what is to stand there.
CLAIM = _script("""
local done = {}
for i, key in ipairs(KEYS) do
  local head, value = ARGV[2 * i], ARGV[2 * i + 1]
  local there = redis.call('GETRANGE', key, 0, #head - 1)
  if there == head then
    redis.call('SET', key, value, 'EX', ARGV[1])
    table.insert(done, 1)
  else
    local is_gone = there == '' or (ended(there) and not string.find(there, 'holder', 1, true))
    table.insert(done, is_gone and -1 or 0)
  end
end
return done
""")

# Takes the last state out of what is claimed. Arguments: for each key the first bytes as they were written, what is to
# stand there, and its time to live, or 0 if nothing is to stand there. For each, 1 done, 2 nothing is there any more, 0
# somebody else has it now.
SETTLE = _script("""
local done = {}
for i, key in ipairs(KEYS) do
  local head, tombstone, ttl = unpack(ARGV, 3 * i - 2, 3 * i)
  local there = redis.call('GETRANGE', key, 0, #head - 1)
  if there == head then
    if ttl == '0' then redis.call('DEL', key) else redis.call('SET', key, tombstone, 'EX', ttl) end
  end
  table.insert(done, there == head and 1 or (there == '' and 2 or 0))
end
return done
""")

# Keeps a place in the index of a user. Arguments: the id, how many there may be, now, until when, and the ids of those
# that are about to leave.
RESERVE = _script("""
local id, limit, now, till = unpack(ARGV, 1, 4)
local own = {[id] = true}
for i = 5, #ARGV do own[ARGV[i]] = true end
local count = 0
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')) do
  local name = string.gsub(member, '^%+', '')
  if not own[name] then
    own[name] = true
    count = count + 1
  end
end
if count >= tonumber(limit) then return 0 end
enter(KEYS[1], '+' .. id, till, till - now)
return 1
""")

# A write that changes nothing, and reaches the replicas after everything before it.
AGAIN = _script("""
local ttl = redis.call('PTTL', KEYS[1])
if ttl > 0 then redis.call('PEXPIRE', KEYS[1], ttl) end
return 1
""")
