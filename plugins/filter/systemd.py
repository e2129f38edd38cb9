"""Confine a service of ours as systemd can, by what it needs beyond what each of them gets.

Ours, since systemd has no way for a unit to take over another's settings.
"""

from __future__ import annotations

SANDBOX = {
    "CapabilityBoundingSet": "",
    "LockPersonality": "yes",
    "MemoryDenyWriteExecute": "yes",
    "NoNewPrivileges": "yes",
    "PrivateDevices": "yes",
    "PrivateTmp": "yes",
    "ProtectClock": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHome": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectProc": "invisible",
    "ProtectSystem": "strict",
    "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "SystemCallArchitectures": "native",
    "SystemCallErrorNumber": "EPERM",
    "SystemCallFilter": "@system-service",
    "UMask": "0027",
}
"""What a service gets unless it says otherwise: no capabilities, nothing to write but what the unit names."""

HOST_MOUNTS = {
    "PrivateDevices": "no",
    "PrivateTmp": "no",
    "ProtectControlGroups": "no",
    "ProtectHome": "no",
    "ProtectKernelLogs": "no",
    "ProtectKernelModules": "no",
    "ProtectKernelTunables": "no",
    "ProtectProc": "default",
    "ProtectSystem": "no",
}
"""Without what gives a service mounts of its own."""


def sandbox(deviations, host_mounts=False):
    """Return the sandbox of a unit as a list of lines, ``Setting=value``, sorted by setting.

    ``deviations`` are settings of systemd.exec(5) that the unit needs otherwise, or besides; a list of values makes as
    many lines. With ``host_mounts`` the service sees the host's file systems as they are, which whoever watches them
    must.
    """
    settings = SANDBOX | (HOST_MOUNTS if host_mounts else {}) | deviations
    return [
        f"{name}={value}"
        for name, values in sorted(settings.items())
        for value in (values if isinstance(values, list) else [values])
    ]


class FilterModule:
    """What Ansible looks for."""

    def filters(self):
        """Return the filters by name."""
        return {"sandbox": sandbox}
