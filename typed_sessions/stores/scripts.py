"""The Lua scripts of the Redis store. Each is atomic, declares every key it touches, and may be repeated.

``KEYS[1]`` is the record. On one node the index keys follow, by last use, by expiry and of the user, and are written in
the same round trip; on a cluster they live in other slots and are written afterwards.
"""

from __future__ import annotations

from hashlib import sha1
from typing import NamedTuple


class Script(NamedTuple):
    source: str
    sha: str


_COMMON = """
local function holds(head, stamp)
  local at = string.find(head, 'revision', 1, true)
  return at and string.sub(head, at, at + #stamp - 1) == stamp
end
local function ended(value)
  return string.find(string.sub(value, 1, 24), '"ended"', 1, true)
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
local function enter(key, id, score, ttl, forward)
  if forward then redis.call('ZADD', key, 'GT', score, id) else redis.call('ZADD', key, score, id) end
  if redis.call('TTL', key) < tonumber(ttl) then redis.call('EXPIRE', key, ttl) end
end
local function index(first, id, seen, expires, ttl, forward)
  local scores = {seen, expires, expires}
  if #KEYS == first then scores[1] = expires end  -- the user's key alone
  for i = first, #KEYS do enter(KEYS[i], id, scores[i - first + 1], ttl, forward) end
end
local function trim(user_key, dead)
  if user_key then redis.call('ZREMRANGEBYSCORE', user_key, '-inf', '(' .. dead) end
end
"""


def _script(body: str) -> Script:
    source = _COMMON + body
    return Script(source, sha1(source.encode(), usedforsecurity=False).hexdigest())


CREATE = _script("""
local value, ttl, own, id, seen, expires, index_ttl, dead = unpack(ARGV)
if not redis.call('SET', KEYS[1], value, 'NX', 'EX', ttl)
    and not holds(redis.call('GETRANGE', KEYS[1], 0, 127), own) then
  return 0
end
index(2, id, seen, expires, index_ttl)
trim(KEYS[4], dead)
return 1
""")

# {1} saved, {0, what is there instead}, {-1} nothing is there.
SAVE = _script("""
local value, ttl, own, id, seen, expires, index_ttl, dead, base, keeps = unpack(ARGV)
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
index(2, id, seen, expires, index_ttl, keeps == '1')
return {1}
""")

# As SAVE; KEYS[2] is the record that is replaced.
REPLACE = _script("""
local value, ttl, own, id, seen, expires, index_ttl, dead, base, tombstone, tombstone_ttl, base_id = unpack(ARGV)
if not holds(redis.call('GETRANGE', KEYS[1], 0, 127), own) then
  local head = redis.call('GETRANGE', KEYS[2], 0, 127)
  if head == '' then return {-1} end
  if not holds(head, base) then return {0, redis.call('GET', KEYS[2])} end
  redis.call('SET', KEYS[1], value, 'EX', ttl)
  redis.call('SET', KEYS[2], tombstone, 'EX', tombstone_ttl)
end
for i = 3, #KEYS do redis.call('ZREM', KEYS[i], base_id) end
index(3, id, seen, expires, index_ttl)
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
local seen, expires, ttl, id, index_ttl = unpack(ARGV)
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
index(2, id, seen, expires, index_ttl, true)
return 1
""")

END = _script("""
local tombstone, ttl, id, user_prefix = unpack(ARGV)
local value = redis.call('GET', KEYS[1])
if not value or ended(value) then return false end
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

# A page of ids by last use, without those that have expired since.
NEWEST = _script("""
local offset, limit, now = unpack(ARGV)
local ids = redis.call('ZREVRANGE', KEYS[1], offset, offset + limit - 1)
local live = {}
for i, id in ipairs(ids) do
  local expires = redis.call('ZSCORE', KEYS[2], id)
  if expires and tonumber(expires) > tonumber(now) then table.insert(live, id) end
end
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
