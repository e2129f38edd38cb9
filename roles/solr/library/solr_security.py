"""Write the file in which Solr finds who may log in, and what he may do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: solr_security
short_description: Write the file in which Solr finds who may log in, and what he may do
description:
  - Writes C(security.json) for Solr's C(BasicAuthPlugin) and C(RuleBasedAuthorizationPlugin).
  - Keeps the salted hash of a password that is still good, so that a file changes only with what it says.
options:
  path:
    description: The file.
    type: path
    required: true
  users:
    description: All users.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The user's name.
        type: str
        required: true
      password:
        description: The user's password.
        type: str
        required: true
      role:
        description: The user's role.
        type: str
        required: true
  permissions:
    description: The permissions as Solr writes them, in their order. The first that fits a request decides.
    type: list
    elements: dict
    required: true
  group:
    description: The group that may read the file.
    type: str
    required: true
author: the maintainers
"""

EXAMPLES = """
- name: Say who may do what
  solr_security:
    path: /var/solr/data/security.json
    users: [{name: admin, password: "{{ admin_password }}", role: admin}]
    permissions: [{name: all, role: admin}]
    group: solr
"""

RETURN = """
users:
  description: The users whose passwords or roles changed, and those that are gone.
  type: list
  elements: str
  returned: always
"""

SALT_BYTES = 32


def credential(password, salt):
    """Return what Solr keeps of a password."""
    digest = hashlib.sha256(hashlib.sha256(salt + password.encode()).digest()).digest()
    return " ".join(base64.b64encode(part).decode() for part in (digest, salt))


def is_good(kept, password):
    """Whether what is kept is that of the password."""
    try:
        salt = base64.b64decode(kept.split()[1], validate=True)
    except (AttributeError, IndexError, ValueError):
        return False
    return hmac.compare_digest(kept, credential(password, salt))


def read(path):
    """Return what the file says, an empty dict if there is none that can be read."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def below(value, *names):
    """Return the dict below these names, an empty one if there is none."""
    for name in names:
        value = value.get(name, {})
        if not isinstance(value, dict):
            return {}
    return value


def wanted(users, permissions, kept):
    """Return what the file has to say."""
    return {
        "authentication": {
            "class": "solr.BasicAuthPlugin",
            "realm": "solr",
            # The permissions refuse everything that is not meant for everybody.
            "blockUnknown": False,
            "forwardCredentials": False,
            "credentials": {
                user["name"]: kept[user["name"]]
                if is_good(kept.get(user["name"]), user["password"])
                else credential(user["password"], os.urandom(SALT_BYTES))
                for user in users
            },
        },
        "authorization": {
            "class": "solr.RuleBasedAuthorizationPlugin",
            "user-role": {user["name"]: user["role"] for user in users},
            "permissions": permissions,
        },
    }


def write(module, path, content):
    """Write the file in one step."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_text(json.dumps(content, indent=2) + "\n")
    set_attributes(module, new)
    new.replace(path)


def set_attributes(module, path):
    """Give the file to root, and let the group read it; return whether that is a change."""
    changed = module.set_owner_if_different(str(path), "root", False)
    changed = module.set_group_if_different(str(path), module.params["group"], changed)
    return module.set_mode_if_different(str(path), "0640", changed)


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "users": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "password": {"type": "str", "required": True, "no_log": True},
                    "role": {"type": "str", "required": True},
                },
            },
            "permissions": {"type": "list", "elements": "dict", "required": True},
            "group": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    path = Path(module.params["path"])
    before = read(path)
    kept = below(before, "authentication", "credentials")
    after = wanted(module.params["users"], module.params["permissions"], kept)

    changes = set()
    for names in (("authentication", "credentials"), ("authorization", "user-role")):
        old, new = below(before, *names), below(after, *names)
        changes |= {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    changed = before != after
    if changed and not module.check_mode:
        write(module, path, after)
    elif path.exists():
        changed |= set_attributes(module, path)
    module.exit_json(changed=changed, users=sorted(changes))


if __name__ == "__main__":
    main()
