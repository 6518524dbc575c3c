"""The Lua scripts of the Redis store. Each is atomic, declares every key it touches, and may be repeated.

``KEYS[1]`` is the record. On one node the index keys follow, by last use, by expiry and of the user, and are written in
the same round trip; on a cluster they live in other slots and are written afterwards.
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
local function index(first, id, seen, expires, ttl, user_ttl, forward)
  local users = #KEYS == first and first or first + 2  -- the user's key may be alone
  if #KEYS > first then
    enter(KEYS[first], id, seen, ttl, forward)
    enter(KEYS[first + 1], id, expires, ttl, forward)
  end
  if KEYS[users] then enter(KEYS[users], id, expires, user_ttl, forward) end
end
local function trim(user_key, dead)
  if user_key then redis.call('ZREMRANGEBYSCORE', user_key, '-inf', '(' .. dead) end
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


CREATE = _script("""
local value, ttl, own, id, seen, expires, index_ttl, user_ttl, dead = unpack(ARGV)
if not redis.call('SET', KEYS[1], value, 'NX', 'EX', ttl)
    and not holds(redis.call('GETRANGE', KEYS[1], 0, 127), own) then
  return 0
end
index(2, id, seen, expires, index_ttl, user_ttl)
trim(KEYS[4], dead)
return 1
""")

# {1} saved, {0, what is there instead}, {-1} nothing is there.
SAVE = _script("""
local value, ttl, own, id, seen, expires, index_ttl, user_ttl, dead, base, keeps = unpack(ARGV)
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
index(2, id, seen, expires, index_ttl, user_ttl, keeps == '1')
return {1}
""")

# As SAVE; KEYS[2] is the record that is replaced.
REPLACE = _script("""
local value, ttl, own, id, seen, expires, index_ttl, user_ttl, dead = unpack(ARGV)
local base, tombstone, tombstone_ttl, base_id = unpack(ARGV, 10)
if not holds(redis.call('GETRANGE', KEYS[1], 0, 127), own) then
  local head = redis.call('GETRANGE', KEYS[2], 0, 127)
  if head == '' then return {-1} end
  if not holds(head, base) then return {0, redis.call('GET', KEYS[2])} end
  redis.call('SET', KEYS[1], value, 'EX', ttl)
  redis.call('SET', KEYS[2], tombstone, 'EX', tombstone_ttl)
end
for i = 3, #KEYS do redis.call('ZREM', KEYS[i], base_id) end
index(3, id, seen, expires, index_ttl, user_ttl)
trim(KEYS[5], dead)
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
local seen, expires, ttl, id, index_ttl, user_ttl = unpack(ARGV)
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
index(2, id, seen, expires, index_ttl, user_ttl, true)
return 1
""")

END = _script("""
local tombstone, ttl, lingers, id, user_prefix = unpack(ARGV)
local value = redis.call('GET', KEYS[1])
if not value or ended(value) then return false end
-- For as long as the session would have waited for its visitor, if that is not who has ended it.
if lingers ~= '' then ttl = math.max(ttl, redis.call('TTL', KEYS[1]) - lingers) end
local buried = redis.pcall('SET', KEYS[1], tombstone, 'EX', ttl)
-- A Redis that is full takes no tombstone, and must let people sign out all the same.
if type(buried) == 'table' and buried.err then redis.call('DEL', KEYS[1]) end
for i = 2, #KEYS do redis.call('ZREM', KEYS[i], id) end
if user_prefix ~= '' then
  -- Whose it is stands in the record. On one node a key may be made up on the way; on a cluster this is not asked for.
  local user = string.match(string.sub(value, 1, 512), '"user":"([^"\\\\]+)","type"')
  if user then redis.call('ZREM', user_prefix .. user, id) end
end
return value
""")

# One index key of a cluster.
INDEX = _script("""
local id, score, ttl, forward, dead = unpack(ARGV)
enter(KEYS[1], id, score, ttl, forward == '1')
if dead ~= '' then trim(KEYS[1], dead) end
return 1
""")

# A page of ids by last use, without those that have expired since. Entries that promise a record which is not there
# leave the index, and others take their places, for a few turns. What has expired stays for who announces it.
NEWEST = _script("""
local offset, limit, now, root = unpack(ARGV)
local live, kept = {}, 0
for turn = 1, 10 do
  local gone = {}
  for i, id in ipairs(redis.call('ZREVRANGE', KEYS[1], offset + kept, offset + kept + limit - 1)) do
    local expires = redis.call('ZSCORE', KEYS[2], id)
    local is_over = expires and tonumber(expires) <= tonumber(now)
    if not is_over and redis.call('EXISTS', root .. id) == 0 then
      table.insert(gone, id)
    else
      kept = kept + 1
      if expires and not is_over then table.insert(live, id) end
      if kept == tonumber(limit) then break end
    end
  end
  if not drop(gone) or kept == tonumber(limit) then break end
end
return live
""")

# The ids of a user's sessions, likewise. The first entries are looked up, as many as anybody has.
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

# Of one index key, the members whose score is still the one that was read. Answers how many went.
REMOVE = _script("""
local removed = 0
for i = 1, #ARGV, 2 do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if score and tonumber(score) == tonumber(ARGV[i + 1]) then
    removed = removed + redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
return removed
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
# stand there, and its time to live, or 0 if nothing is to stand there. For each, 0 if somebody else has it now.
SETTLE = _script("""
local done = {}
for i, key in ipairs(KEYS) do
  local head, tombstone, ttl = unpack(ARGV, 3 * i - 2, 3 * i)
  local there = redis.call('GETRANGE', key, 0, #head - 1)
  if there == head then
    if ttl == '0' then redis.call('DEL', key) else redis.call('SET', key, tombstone, 'EX', ttl) end
  end
  table.insert(done, (there == head or there == '') and 1 or 0)
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
