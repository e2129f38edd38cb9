"""Derive from the service catalogue and the inventory what connects the hosts.

Ours, since each takes loops over services, groups and hosts, which in Jinja would be programs that nobody can test.
``services`` is the catalogue of group_vars/all/services.yml; ``groups`` and ``hostvars`` are Ansible's own.
"""

from __future__ import annotations


def endpoints(services, groups, hostvars):
    """Return where each service that has a port answers, as lists of ``address:port`` in the order of its group."""
    return {
        name: [f"{hostvars[host]['address']}:{service['port']}" for host in groups[service["group"]]]
        for name, service in services.items()
        if "port" in service
    }


def service_list(services, *keys):
    """Return services as a list of dictionaries, each with its ``name`` and those of the keys that it has.

    Such lists are what roles take, for an argument spec can check them. The keys are looked for in the probe too.
    """
    return [
        {"name": name} | {key: value for key, value in (service | service.get("probe", {})).items() if key in keys}
        for name, service in services.items()
    ]


def group_addresses(groups, hostvars):
    """Return the addresses from which the hosts of each group may come, the public ones among them.

    It depends on the way as which of its addresses a host comes.
    """
    return {
        group: [
            address for host in hosts for name in ("address", "public_address") if (address := hostvars[host].get(name))
        ]
        for group, hosts in groups.items()
    }


def dependencies(services, groups, hostvars, watcher):
    """Return each host with its ``name``, ``address``, its tiers as ``groups``, and as ``parents`` whom it depends on.

    A host depends on those whose services its tiers are clients of, unless they share a tier. The hosts of the group
    ``watcher`` depend on nobody: they ask everybody.
    """
    tiers = {service["group"] for service in services.values()}
    tiers_of = {host: sorted(tiers.intersection(hostvars[host]["group_names"])) for host in groups["all"]}
    return [
        {
            "name": host,
            "address": hostvars[host]["address"],
            "groups": own,
            "parents": sorted(
                {
                    other
                    for service in services.values()
                    if watcher not in own and set(own).intersection(service.get("clients", []))
                    for other in groups[service["group"]]
                    if not set(own).intersection(hostvars[other]["group_names"])
                }
            ),
        }
        for host, own in tiers_of.items()
    ]


def placements(services, groups):
    """Return each service with its ``name``, its ``unit``, and the ``hosts`` that run it."""
    return [
        {
            "name": name,
            "unit": service["unit"],
            "hosts": [host for host in groups["all"] if host in groups[service["group"]]],
        }
        for name, service in services.items()
    ]


def exporters(groups):
    """Return each host with its ``name``, and the ``metrics`` that the sentinel passes on, by their kind."""
    return [
        {
            "name": host,
            "metrics": {"node": host} | ({"mongodb": f"{host}-mongodb"} if host in groups["mongodb"] else {}),
        }
        for host in groups["all"]
    ]


class FilterModule:
    """What Ansible loads."""

    def filters(self):
        """Return the filters by their names."""
        return {
            "endpoints": endpoints,
            "service_list": service_list,
            "group_addresses": group_addresses,
            "dependencies": dependencies,
            "placements": placements,
            "exporters": exporters,
        }
