"""Write who may open a page of Prometheus, and with which certificate."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

try:
    import bcrypt
except ImportError:
    bcrypt = None

DOCUMENTATION = """
module: web_config
short_description: Write who may open a page of Prometheus, and with which certificate
description:
  - Writes the file that Prometheus and its companions take as C(--web.config.file). They read it at each request.
  - Passwords are hashed with bcrypt. A hash that fits its password stays, so that a second run changes nothing.
  - The certificate goes into a file that is named after it, so that a wrong one does not take the place of the former.
    promtool checks it all before it is used. Certificates that are no longer in use are removed.
options:
  path:
    description: The file.
    type: path
    required: true
  users:
    description: The users, name to password.
    type: dict
    required: true
  certificate:
    description: The certificate, its chain and its private key, in PEM.
    type: str
    required: true
  folder:
    description: The folder for the certificate.
    type: path
    required: true
  group:
    description: The group that may read the files. They belong to root.
    type: str
    required: true
requirements: [bcrypt, promtool]
author: the maintainers
"""

EXAMPLES = """
- name: Let the users in
  web_config:
    path: /etc/prometheus/web.yml
    users: {ada: "{{ vault_ada_password }}"}
    certificate: "{{ vault_certificate }}"
    folder: /etc/prometheus
    group: prometheus
"""

RETURN = """
"""

ROUNDS = 10
MARK = "# Managed by Ansible, which writes it anew. JSON is YAML too.\n"


def former_hashes(path):
    """Return the hashes that are in use, by user."""
    try:
        return json.loads(path.read_text().removeprefix(MARK))["basic_auth_users"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def fits(password, hashed):
    """Whether the hash is the password's."""
    try:
        return bcrypt.checkpw(password.encode(), hashed.encode())
    except ValueError:
        return False


def write(module, path, text, check=None):
    """Write the text to the path unless it is there, once the check, a function of the new file, is passed."""
    changed = not path.exists() or path.read_text() != text
    if changed and not module.check_mode:
        new = Path(module.tmpdir) / path.name
        new.touch(mode=0o600)
        new.write_text(text)
        if check:
            check(new)
        module.atomic_move(str(new), str(path))
    if path.exists():
        attributes = {"path": str(path), "owner": "root", "group": module.params["group"], "mode": "0640"}
        arguments = module.load_file_common_arguments({**module.params, **attributes})
        changed = module.set_fs_attributes_if_different(arguments, changed)
    return changed


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "users": {"type": "dict", "required": True, "no_log": True},
            "certificate": {"type": "str", "required": True, "no_log": True},
            "folder": {"type": "path", "required": True},
            "group": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    if bcrypt is None:
        module.fail_json(msg="The module needs bcrypt: install python3-bcrypt.")
    path, folder, certificate = (module.params[key] for key in ("path", "folder", "certificate"))
    certificate_file = Path(folder) / f"web-{hashlib.sha256(certificate.encode()).hexdigest()[:16]}.pem"
    hashes = former_hashes(Path(path))
    for user, password in module.params["users"].items():
        if not fits(password, hashes.get(user, "")):
            hashes[user] = bcrypt.hashpw(password.encode(), bcrypt.gensalt(ROUNDS)).decode()
    content = {
        "tls_server_config": {"cert_file": str(certificate_file), "key_file": str(certificate_file)},
        "basic_auth_users": {user: hashes[user] for user in sorted(module.params["users"])},
    }

    def check(new):
        code, output, errors = module.run_command(["/usr/bin/promtool", "check", "web-config", str(new)])
        if code:
            certificate_file.unlink()
            module.fail_json(msg=f"promtool refuses the certificate or the users: {(errors or output).strip()}")

    changed = write(module, certificate_file, certificate)
    changed |= write(module, Path(path), f"{MARK}{json.dumps(content, indent=2)}\n", check)
    for old in set(Path(folder).glob("web-*.pem")) - {certificate_file}:
        changed = True
        if not module.check_mode:
            old.unlink()
    module.exit_json(changed=changed)


if __name__ == "__main__":
    main()
