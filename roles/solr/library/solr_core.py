"""Bring a core of Solr in line with its files, and its index with that of the other members."""

from __future__ import annotations

import base64
import grp
import hashlib
import json
import os
import pwd
import shutil
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlencode

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: solr_core
short_description: Bring a core of Solr in line with its files, and its index with that of the other members
description:
  - Compares what the running core was loaded from with the wanted files, so a reload that an earlier, interrupted run
    owes is made good by the next one. The mark of that is the property C(fingerprint) in the core's
    C(configoverlay.json), which Solr tells.
  - Writes the files and the overlay, and creates or reloads the core. If Solr refuses them, the files that it had
    before are put back, and the module fails with Solr's reason.
  - The overlay makes every member hand out its index, and those that are not the leader copy the leader's.
  - A leader without an index takes that of the member with the newest one before it bears the core's name, so nobody
    writes to it or copies it until then. If no member has an index, it starts with an empty one. All must answer for
    that.
  - Waits until a follower without an index has copied the leader's.
  - An index that Solr can't read is set aside if another member has one to give, and the host is treated as one without
    an index. On the leader the damaged files stay beside the new ones.
  - Switches the copying on again if somebody has switched it off through the API.
options:
  name:
    description: The core's name.
    type: str
    required: true
  source:
    description: The folder of the wanted files.
    type: path
    required: true
  home:
    description: Solr's home.
    type: path
    required: true
  host:
    description: This host, one of O(members).
    type: str
    required: true
  port:
    description: The port of all members.
    type: int
    default: 8983
  members:
    description: All members, as hosts in a URL.
    type: list
    elements: str
    required: true
  leader:
    description: The member whose index the others copy.
    type: str
    required: true
  poll_seconds:
    description: How often a follower asks the leader for a newer index.
    type: int
    default: 2
  admin_password:
    description: The password of the user C(admin).
    type: str
    required: true
  replication_password:
    description: The password of the user C(replication).
    type: str
    required: true
  timeout:
    description: How long to wait for the other members, and for an index to be copied, in seconds.
    type: int
    default: 120
author: the maintainers
"""

EXAMPLES = """
- name: Bring the core in line
  solr_core:
    name: games
    source: /var/solr/config/games
    home: /var/solr/data
    host: 10.0.1.31
    members: [10.0.1.31, 10.0.1.32]
    leader: 10.0.1.31
    admin_password: "{{ admin_password }}"
    replication_password: "{{ replication_password }}"
"""

RETURN = """
actions:
  description: What was done, or would be in check mode.
  type: list
  elements: str
  returned: always
reindex:
  description: The fields whose indexed documents do not fit the schema any more. Empty on followers.
  type: list
  elements: str
  returned: always
"""

OVERLAY = "configoverlay.json"
USER = "solr"

# The handlers that ask the core for a query. Anybody may ping, so nothing of the request may say which handler answers,
# or that a shard is asked, whose answer holds the documents.
PING = {
    "/admin/ping": {
        "name": "/admin/ping",
        "class": "solr.PingRequestHandler",
        "invariants": {"qt": "/admin/ping/query", "isShard": False},
    },
    "/admin/ping/query": {
        "name": "/admin/ping/query",
        "class": "solr.SearchHandler",
        "components": ["query"],
        "invariants": {"q": "*:*", "rows": 0, "distrib": False, "shards": ""},
    },
}

# What Java calls it if files of an index are overwritten, cut off or missing.
DAMAGE = (
    "org.apache.lucene.index.CorruptIndexException",
    "org.apache.lucene.index.IndexNotFoundException",
    "java.io.EOFException",
    "java.nio.file.NoSuchFileException",
)

ANSWER_SECONDS = 60
POLL_SECONDS = 0.5


class Refused(Exception):
    """Solr answered, and did not do what it was asked."""

    def __init__(self, status, reason, trace=""):
        super().__init__(reason)
        self.status = status
        causes = [line for line in trace.splitlines() if line.startswith("Caused by: ")]
        self.cause = causes[-1].removeprefix("Caused by: ") if causes else ""


class Node:
    """A Solr, asked as one of its users."""

    def __init__(self, host, port, user, password):
        self.address = f"{host}:{port}"
        login = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.headers = {"Authorization": f"Basic {login}"}

    def ask(self, path, seconds=ANSWER_SECONDS, **parameters):
        """Return the answer. OSError or HTTPException means that there is none."""
        query = urlencode({"wt": "json", **parameters})
        connection = HTTPConnection(self.address, timeout=seconds)
        try:
            connection.request("GET", f"/solr/{path}?{query}", headers=self.headers)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        try:
            content = json.loads(body)
        except ValueError:
            content = {}
        if answer.status != 200:
            error = content.get("error", {})
            raise Refused(answer.status, error.get("msg") or f"{answer.status} {answer.reason}", error.get("trace", ""))
        return content

    def index_version(self, core, **options):
        """Return the version of the core's index, the time of its last commit; 0 if there is no index, or no core.

        Only the administrator may know that a core is not there.
        """
        try:
            return self.ask(f"{core}/replication", command="indexversion", **options)["indexversion"]
        except Refused as error:
            if error.status in (403, 404):
                return 0
            raise


class Core:
    """The core on this host."""

    def __init__(self, module):
        self.module = module
        options = module.params
        self.name = options["name"]
        self.joining = f"{self.name}.joining"
        self.leads = options["host"] == options["leader"]
        self.node = self.member(options["host"], "admin", options["admin_password"])
        self.folder = Path(options["home"]) / self.name
        self.conf = self.folder / "conf"
        self.data = self.folder / "data"
        self.damaged = self.folder / "data.damaged"
        # The files that Solr last accepted, while it is not known whether it accepts the new ones.
        self.accepted = self.folder / "conf.accepted"
        self.deadline = time.monotonic() + options["timeout"]
        self.actions = []
        self.reindex = []

    def member(self, host, user="replication", password=None):
        """Return a member, asked as a user."""
        password = password or self.module.params["replication_password"]
        return Node(host, self.module.params["port"], user, password)

    def fail(self, message):
        """Fail, and say what was done before."""
        self.module.fail_json(msg=message, changed=bool(self.actions), actions=self.actions)

    def over(self):
        """Wait a moment; return whether the time is up."""
        time.sleep(POLL_SECONDS)
        return time.monotonic() > self.deadline

    # The files

    def overlay(self, files, source):
        """Return the overlay that makes a follower of the source, or of nobody, and marks the files."""
        handler = {
            "name": "/replication",
            "class": "solr.ReplicationHandler",
            "leader": {"replicateAfter": ["startup", "commit", "optimize"]},
        }
        if source:
            handler["follower"] = {
                "leaderUrl": f"http://{self.member(source).address}/solr/{self.name}",
                "pollInterval": time.strftime("%H:%M:%S", time.gmtime(self.module.params["poll_seconds"])),
                "httpBasicAuthUser": "replication",
                "httpBasicAuthPassword": self.module.params["replication_password"],
                # Rather do nothing than write that down, should the leader ever say that it has nothing.
                "skipCommitOnLeaderVersionZero": True,
            }
        content = {"requestHandler": {"/replication": handler} | PING}
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
        for name in sorted(files):
            digest.update(f"\0{name}\0{len(files[name])}\0".encode() + files[name])
        return json.dumps({"userProps": {"fingerprint": digest.hexdigest()}} | content, indent=2).encode() + b"\n"

    def wanted(self, source):
        """Return the files that the core shall have, as a follower of the source or of nobody."""
        files = read(Path(self.module.params["source"]))
        return files | {OVERLAY: self.overlay(files, source)}

    def write(self, files):
        """Put the files in the place of those that are there, which are kept unless better ones are kept already."""
        new = self.folder / "conf.new"
        shutil.rmtree(new, ignore_errors=True)
        user, group = pwd.getpwnam(USER).pw_uid, grp.getgrnam(USER).gr_gid
        if not self.folder.exists():
            self.folder.mkdir(mode=0o750)
            os.chown(self.folder, user, group)
        for name, content in files.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o640)
            path.write_bytes(content)
        for path in (new, *new.rglob("*")):
            os.chown(path, 0, group)
            path.chmod(0o750 if path.is_dir() else 0o640)
        if self.accepted.exists():
            shutil.rmtree(self.conf, ignore_errors=True)
        elif self.conf.exists():
            self.conf.rename(self.accepted)
        new.rename(self.conf)

    # The core

    def names(self):
        """Return the names under which Solr has the core, or has tried to load it, once it has done so."""
        while True:
            answer = self.node.ask("admin/cores", action="STATUS", indexInfo="false")
            names = {name for name, core in answer["status"].items() if core}
            if (self.folder / "core.properties").exists():
                names |= set(answer["initFailures"])
            names &= {self.name, self.joining}
            if names or not (self.folder / "core.properties").exists() or self.over():
                return names

    def runs(self, name):
        """Return the fingerprint of the files that the core was loaded from; nothing if it is not loaded."""
        while True:
            try:
                answer = self.node.ask(f"{name}/config/overlay")
            except Refused as error:
                if error.status == 503 and not self.over():
                    continue
                return None
            return answer.get("overlay", {}).get("userProps", {}).get("fingerprint")

    def schema(self, name):
        """Return the schema of the running core; nothing if it is not loaded."""
        try:
            return self.node.ask(f"{name}/schema")["schema"]
        except Refused:
            return {}

    def change(self, action, core, /, **parameters):
        """Have Solr create, reload or rename the core; return its reason if it does not."""
        try:
            self.node.ask("admin/cores", self.module.params["timeout"], action=action, **parameters)
        except Refused as error:
            failures = self.node.ask("admin/cores", action="STATUS", indexInfo="false")["initFailures"]
            return failures.get(core) or str(error)
        return None

    def apply(self, name, source):
        """Have the core run on the wanted files, as a follower of the source or of nobody."""
        files = self.wanted(source)
        before = read(self.accepted if self.accepted.exists() else self.conf)
        fingerprint = json.loads(files[OVERLAY])["userProps"]["fingerprint"]
        exists = name in self.names()
        written = read(self.conf) != files
        if not written and exists and self.runs(name) == fingerprint:
            shutil.rmtree(self.accepted, ignore_errors=True)
            return
        self.actions.append(f"{'reload' if exists else 'create'} {name}")
        if self.module.check_mode:
            return
        if written:
            self.write(files)
        schema = self.schema(name)
        if exists:
            reason = self.change("RELOAD", name, core=name)
        else:
            # The index stays there whatever solrconfig.xml says.
            reason = self.change("CREATE", name, name=name, instanceDir=self.folder.name, dataDir="data")
        if reason:
            self.refuse(name, exists, reason)
        shutil.rmtree(self.accepted, ignore_errors=True)
        if schema and self.leads and self.documents(name):
            self.reindex = unfit(schema, before, self.schema(name), files)

    def refuse(self, name, exists, reason):
        """Put the files back that Solr accepted, and fail with its reason for not accepting these."""
        outcome = "There were none before."
        if self.accepted.exists() or not exists:
            shutil.rmtree(self.conf)
        if self.accepted.exists():
            self.accepted.rename(self.conf)
            failure = self.change("RELOAD", name, core=name)
            outcome = f"Nor did it take back those before: {failure}" if failure else "It goes on with those before."
        self.fail(f"Solr does not take the files of {self.name}. {outcome} It said: {reason}")

    def documents(self, name):
        """Return the number of documents in the core."""
        return self.node.ask("admin/cores", action="STATUS", core=name)["status"][name]["index"]["numDocs"]

    # The index

    def has_files_of_an_index(self):
        """Whether there is an index on disk. A new and empty one has the first generation."""
        return any(path.name != "segments_1" for path in self.data.glob("index*/segments_*"))

    def damage(self, names):
        """Return what Solr says of an index that it can't read; nothing if it can, or if something else is wrong."""
        for name in names:
            try:
                self.node.ask(f"{name}/admin/ping")
            except Refused as error:
                if error.cause.startswith(DAMAGE) and str(self.data.resolve()) in error.cause:
                    return error.cause
        return None

    def set_aside(self, damage, names):
        """Take the damaged index away, if there is another to take its place."""
        problem = f"The index of {self.name} on this host is damaged ({damage})"
        leader = self.module.params["leader"]
        if not any(self.versions(problem, None if self.leads else [leader]).values()):
            giver = "no other member" if self.leads else f"not even the leader, {leader},"
            self.fail(
                f"{problem}, and {giver} has one to give, so it was left as it is. Restore {self.data} from a backup,"
                " or remove it to index anew; then restart Solr, and run again."
            )
        self.actions.append("set the damaged index aside")
        if self.module.check_mode:
            return
        for name in names:
            reason = self.change("UNLOAD", name, core=name)
            if reason:
                self.fail(f"{problem}, and Solr does not let go of it: {reason}")
        # Solr leaves that of a core which it could not load.
        (self.folder / "core.properties").unlink(missing_ok=True)
        if self.data.exists():
            shutil.rmtree(self.damaged, ignore_errors=True)
            self.data.rename(self.damaged)
        outcome = (
            f"Its files are in {self.damaged} now. What no other member had copied from it must be indexed anew."
            if self.leads
            else "It is copied anew from the leader."
        )
        self.module.warn(f"{problem}. {outcome}")

    def versions(self, problem, hosts=None):
        """Return the version of the index of these hosts, or every other member, once all of them answer."""
        versions = {}
        others = [host for host in self.module.params["members"] if host != self.module.params["host"]]
        silent = dict.fromkeys(hosts or others, "")
        while silent:
            for host in list(silent):
                try:
                    versions[host] = self.member(host).index_version(self.name, seconds=5)
                    del silent[host]
                except (Refused, OSError, HTTPException) as error:
                    if isinstance(error, Refused) and error.status == 401:
                        self.fail(f"{host} does not know solr_replication_password: run for all members.")
                    silent[host] = str(error)
            if silent and (self.module.check_mode or self.over()):
                reasons = "; ".join(f"{host}: {reason}" for host, reason in silent.items())
                self.fail(
                    f"{problem}, and it can't be told whether another member has one, which did not say so within"
                    f" {self.module.params['timeout']} seconds: {reasons}. All of solr_members must run for that; take"
                    " out those that are gone for good."
                )
        return versions

    def join(self, names):
        """Take the newest index that another member has, under another name; then take the core's name."""
        versions = self.versions("This host is to lead and has no index")
        best = max(versions, key=versions.get, default=None)
        if not best or not versions[best]:
            if self.joining in names:
                self.rename(self.joining, self.name)
            return
        self.actions.append(f"copy the index of {best}")
        if self.module.check_mode:
            return
        self.apply(self.joining, best)
        self.copy(self.joining, self.member(best))
        self.rename(self.joining, self.name)

    def copy(self, name, member):
        """Wait until the core has the member's index, which it copies by itself."""
        while True:
            wanted = member.index_version(self.name)
            if self.node.index_version(name) >= wanted:
                return
            if self.over():
                self.fail(
                    f"{name} did not copy the index of {member.address} within {self.module.params['timeout']} seconds."
                    " It goes on by itself; run again later, or raise solr_timeout. The log of Solr tells more."
                )

    def rename(self, name, other):
        """Give the core another name."""
        if not self.module.check_mode:
            reason = self.change("RENAME", name, core=name, other=other)
            if reason:
                self.fail(f"Solr does not let {name} be {other}: {reason}")

    def align(self):
        """Bring the core in line."""
        leader = self.module.params["leader"]
        names = self.names()
        damage = self.damage(names)
        if damage:
            self.set_aside(damage, names)
            names = self.names()
        if self.leads and (self.joining in names or not (names or self.has_files_of_an_index())):
            self.join(names)
        elif self.joining in names:
            self.rename(self.joining, self.name)
        self.apply(self.name, None if self.leads else leader)
        self.switch_on()
        if not self.leads and not self.module.check_mode:
            self.follow(leader, bool(damage))

    def follow(self, leader, replaces):
        """Wait until a follower that has nothing has what the leader has, if that answers, or if this is a repair."""
        if self.node.index_version(self.name):
            return
        try:
            if self.member(leader).index_version(self.name, seconds=5):
                self.copy(self.name, self.member(leader))
        except (Refused, OSError, HTTPException) as error:
            if replaces:
                self.fail(f"{self.name} did not copy the index of {leader} in place of the damaged one: {error}")
            return
        if replaces:
            shutil.rmtree(self.damaged)

    def switch_on(self):
        """Have the core hand its index out, and copy the leader's, whatever it was told through the API."""
        try:
            details = self.node.ask(f"{self.name}/replication", command="details", follower="false")["details"]
        except Refused:
            # A dry run, in which the core stays as it is.
            return
        commands = []
        if details["leader"]["replicationEnabled"] == "false":
            commands.append("enablereplication")
        if details.get("follower", {}).get("isPollingDisabled") == "true":
            commands.append("enablepoll")
        self.actions += commands
        for command in [] if self.module.check_mode else commands:
            self.node.ask(f"{self.name}/replication", command=command)


def read(folder):
    """Return the files below the folder by their relative names."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def index_side(kind, files):
    """Return what of a field type has a say in what is indexed, the files that it names included."""
    side = {key: value for key, value in kind.items() if key not in ("name", "queryAnalyzer")}
    words = json.dumps(side.get("indexAnalyzer", side.get("analyzer", {})))
    named = {name: hashlib.sha256(content).hexdigest() for name, content in files.items() if f'"{name}"' in words}
    return side, named


def indexed_as(schema, files):
    """Return how each field and each rule for fields is indexed, and what is copied to it."""
    kinds = {kind["name"]: index_side(kind, files) for kind in schema.get("fieldTypes", [])}
    ways = {}
    for field in schema.get("fields", []) + schema.get("dynamicFields", []):
        rest = {key: value for key, value in field.items() if key not in ("type", "default", "required")}
        copies = sorted(copy["source"] for copy in schema.get("copyFields", []) if copy["dest"] == field["name"])
        ways[field["name"]] = (rest, kinds.get(field["type"]), copies)
    return ways


def unfit(before, files_before, after, files_after):
    """Return the fields whose documents, indexed by the schema before, do not fit the one after."""
    old, new = indexed_as(before, files_before), indexed_as(after, files_after)
    fields = [name for name in new if name in old and old[name] != new[name]]
    if before.get("uniqueKey") != after.get("uniqueKey"):
        fields.append(after.get("uniqueKey"))
    return sorted(set(fields))


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "source": {"type": "path", "required": True},
            "home": {"type": "path", "required": True},
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "default": 8983},
            "members": {"type": "list", "elements": "str", "required": True},
            "leader": {"type": "str", "required": True},
            "poll_seconds": {"type": "int", "default": 2},
            "admin_password": {"type": "str", "required": True, "no_log": True},
            "replication_password": {"type": "str", "required": True, "no_log": True},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    core = Core(module)
    try:
        core.align()
    except Refused as error:
        if not (module.check_mode and error.status == 401):
            core.fail(f"Solr did not do what it was asked: {error}")
        # What this run would restart it with.
        core.actions.append("ask again with the new passwords")
    except (OSError, HTTPException) as error:
        if not module.check_mode:
            core.fail(f"Solr does not answer at {core.node.address}: {error}")
        core.actions.append(f"create {core.name}")
    module.exit_json(changed=bool(core.actions), actions=core.actions, reindex=core.reindex)


if __name__ == "__main__":
    main()
