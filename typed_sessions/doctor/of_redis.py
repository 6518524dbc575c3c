"""Looking into Redis: its keys, what it keeps when it restarts, and what it drops when it is full."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from ..exceptions import StoreUnavailable
from ..stores.base import Store
from ..stores.redis import RedisStore
from ..stores.redis_inspection import RedisInspection as RedisKeys
from ..stores.redis_inspection import Survey, Trouble
from .findings import Check, Finding, Findings, Level, counted, fail, good, warn
from .inspections import Inspection, Progress, Unannounced


class RedisInspection(Inspection):
    """One server, Sentinel or a cluster: what the store is connected to."""

    def __init__(self, store: Store, progress: Progress = lambda done: None) -> None:
        super().__init__(store, progress)
        assert isinstance(store, RedisStore)
        self._keys = RedisKeys(store, progress)
        self._mends = False

    def probes(self) -> Mapping[str, Callable[[], object]]:
        return self._keys.probes()

    def checks(self, mend: bool) -> Sequence[Check]:
        self._mends = mend
        return (
            Check("role", self._check_role),
            Check("persistence", self._check_persistence),
            Check("eviction", self._check_eviction),
            Check("time_to_live", self._check_lives),
            Check("index", self._check_index),
            Check("records", self._check_records),
        )

    def facts(self) -> Mapping[str, object]:
        return {
            **self._said("server", redis_version="version", valkey_version="valkey_version"),
            **self._said("memory", used_memory="used_memory", maxmemory="max_memory", maxmemory_policy="policy"),
            **self._said("persistence", aof_enabled="append_only", rdb_last_save_time="last_snapshot"),
        }

    def unannounced(self, now: int) -> Unannounced:
        return Unannounced(*self._keys.overdue(now))

    def claimed(self) -> int:
        return self._keys.claimed()

    def _said(self, section: str, **names: str) -> Mapping[str, object]:
        """Facts of ``INFO``: bytes of all nodes together, and of the rest what the first node says."""
        try:
            nodes = self._keys.info(section)
        except StoreUnavailable:
            return dict.fromkeys(names.values())  # its user may not ask; the store itself has answered before
        return {
            name: sum(node[key] for node in nodes) if key in ("used_memory", "maxmemory") else nodes[0][key]
            for key, name in names.items()
            if key in nodes[0]
        }

    @cached_property
    def _survey(self) -> Survey:
        return self._keys.survey(self._mends)

    def _check_role(self, name: str) -> Findings:
        """Whether what is connected takes writes."""
        if any(node["role"] != "master" for node in self._keys.info("replication")):
            return fail(name, "a replica is connected", "Connect to the master, through Sentinel if there is one.")
        return good(name, "a master is connected")

    def _check_persistence(self, name: str) -> Findings:
        """What is left after a restart."""
        nodes = self._keys.info("persistence")
        for key in ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status"):
            if any(node.get(key, "ok") != "ok" for node in nodes):
                return fail(name, f"{key} is not ok", "Look into the server's log; a disk may be full.")
        if all(node["aof_enabled"] for node in nodes):
            return good(name, "every write is logged (appendonly)")
        if all(self._keys.config("save")):
            found = "there are snapshots alone: a server that dies takes along all sessions since the last one"
        else:
            found = "nothing is kept: whenever the server restarts, everybody is signed out"
        return warn(name, found, "Set appendonly yes and appendfsync everysec, or use cached_db.")

    def _check_eviction(self, name: str) -> Findings:
        """What is dropped when the memory is full (REQ-R12)."""
        nodes = self._keys.info("memory")
        evicted = sum(node.get("evicted_keys", 0) for node in self._keys.info("stats"))
        policies = sorted({node["maxmemory_policy"] for node in nodes})
        lost = f", and has dropped {evicted} keys since its start" if evicted else ""
        if policies == ["noeviction"]:
            return good(name, f"maxmemory-policy is noeviction{lost}")
        found = f"maxmemory-policy is {' and '.join(policies)}: a full server drops sessions that are in use{lost}"
        return warn(
            name, found, "Set maxmemory-policy noeviction, on a server that sessions need not share with caches."
        )

    def _check_lives(self, name: str) -> Findings:
        """Whether everything goes by itself one day."""
        advice = "Whoever made these keys is not this release."
        return self._told(name, self._survey.immortal, "live for ever", "key", advice=advice) or good(
            name, "every key has a time to live"
        )

    def _check_index(self, name: str) -> Findings:
        """Whether the index leads to every record, and nowhere else."""
        survey = self._survey
        found = [
            *self._told(name, survey.dangling, "lead to no record", "index entry", "index entries"),
            *self._told(name, survey.unindexed, "not in the index, and so not listed", "record"),
        ]
        return found or good(
            name, f"{counted(survey.entries, 'entry', 'entries')} for {counted(survey.records, 'record')}"
        )

    def _check_records(self, name: str) -> Findings:
        """Whether every record can be read."""
        survey = self._survey
        if survey.unreadable.count:
            found = f"unreadable: {counted(survey.unreadable.count, 'record')}{_such_as(survey.unreadable)}"
            advice = "They may be of a later release. Their visitors are anonymous; 'typed_sessions end ID' ends them."
            return warn(name, found, advice)
        return good(
            name,
            f"{counted(survey.records, 'record')}, {counted(survey.tombstones, 'tombstone')}, all of them readable",
        )

    def _told(
        self, name: str, trouble: Trouble, what: str, one: str, many: str = "", advice: str = ""
    ) -> list[Finding]:
        if not trouble.count:
            return []
        found = f"{what}: {counted(trouble.count, one, many)}{_such_as(trouble)}"
        if trouble.mended == trouble.count:
            return [Finding(name, Level.OK, f"{found}; all mended", advice)]
        if self._mends:
            return [
                Finding(
                    name,
                    Level.WARNING,
                    f"{found}; {trouble.mended} mended",
                    "See that the connection's user may write, and try once more.",
                )
            ]
        return [Finding(name, Level.WARNING, found, f"Run 'typed_sessions doctor --repair'. {advice}".strip())]


def _such_as(trouble: Trouble) -> str:
    more = " …" if trouble.count > len(trouble.examples) else ""
    return f" ({', '.join(trouble.examples)}{more})"
